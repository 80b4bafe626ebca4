// From what a provider says of a person to a user and its groups here. Pure: claims and settings in, names out.
import { Fault } from "../model/fault.ts";
import type { Vouched } from "../model/oidc.ts";

export type ClaimSettings = {
  /** Which claim is the user's name. */
  readonly userClaim: string;
  readonly groupsClaim: string;
  /** Groups here by the provider's, in order: the first one that a person has is its primary group. */
  readonly groups?: ReadonlyMap<string, string>;
};

export type Claims = { readonly iss: string; readonly sub: string; readonly [claim: string]: unknown };

/** The primary group and as many others as the resource `user` can have. */
const GROUPS_MAX = 257;

/** A Fault `forbidden` for a person who has no name, none of the groups, or too many of them. */
export function vouchedIn(claims: Claims, settings: ClaimSettings): Vouched {
  const { userClaim, groupsClaim, groups } = settings;
  const user = claims[userClaim];
  if (typeof user !== "string" || user === "")
    throw refused(`the provider says no name of you: the claim "${userClaim}" is missing`, "--oidc-user-claim");
  const who = { issuer: claims.iss, subject: claims.sub, user: nameOf(user) };
  if (groups === undefined) return who;
  const theirs = textsIn(claims[groupsClaim]);
  const ours = [...new Set([...groups].filter(([name]) => theirs.has(name)).map(([, group]) => group))];
  if (ours.length === 0)
    throw refused("none of your groups at the provider has a group here", "--oidc-groups", user.slice(0, 80));
  if (ours.length > GROUPS_MAX)
    throw refused(`you have ${ours.length} groups here, and a user has at most ${GROUPS_MAX}`, "--oidc-groups");
  return { ...who, groups: ours };
}

/** What stands for @ here: `anna@example.com` cannot be a name, and `anna` would be that of anna@example.org, too. */
const AT = ".at.";

/**
 * A name that two persons could have is refused: with the text that stands for @, or with a letter of another script,
 * of which some become one of ours as small letters.
 */
function nameOf(user: string): string {
  const name = user.toLowerCase();
  const said = `the provider's name of you, "${user.slice(0, 80)}"`;
  if (name.includes(AT)) throw refused(`${said}, has "${AT}", which stands for @ here`, "--oidc-user-claim");
  if (/[^ -~]/.test(user)) throw refused(`${said}, has other letters than a to z`, "--oidc-user-claim");
  return name.replaceAll("@", AT);
}

function textsIn(value: unknown): ReadonlySet<string> {
  if (typeof value === "string") return new Set([value]);
  return new Set(Array.isArray(value) ? value.filter((each) => typeof each === "string") : []);
}

function refused(what: string, setting: string, where?: string): Fault {
  const fix = `ask an administrator: the server's ${setting} says what is expected`;
  return new Fault("forbidden", { what, fix, ...(where === undefined ? {} : { where }) });
}
