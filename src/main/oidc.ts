// The OpenID provider by the server's settings. The client's secret is read from a file: settings are seen by others.
import { readFileSync } from "node:fs";
import { wordsOf } from "../cli/input/settings.ts";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { OidcLogin } from "../model/oidc.ts";

export const OIDC_SETTINGS = [
  "oidc-issuer",
  "oidc-client-id",
  "oidc-client-secret-file",
  "oidc-redirect",
  "oidc-scopes",
  "oidc-user-claim",
  "oidc-groups-claim",
  "oidc-groups",
] as const;
type Settings = { readonly [name in (typeof OIDC_SETTINGS)[number]]?: string };

/** Undefined where no provider is set; a Fault for settings that cannot be meant. */
export async function oidcFrom(settings: Settings, clock: Clock): Promise<OidcLogin | undefined> {
  const { "oidc-issuer": issuer, "oidc-client-id": clientId, "oidc-redirect": redirect } = settings;
  if (issuer === undefined) {
    const other = OIDC_SETTINGS.find((name) => settings[name] !== undefined);
    if (other !== undefined)
      throw wrong("oidc-issuer", `--${other} is given, and no provider`, "give --oidc-issuer URL");
    return undefined;
  }
  const url = checkedUrl(issuer, "oidc-issuer");
  if (clientId === undefined) throw wrong("oidc-client-id", "it is missing", "give the id that the provider has given");
  if (redirect !== undefined) checkedUrl(redirect, "oidc-redirect");
  const { OidcProvider } = await import("../oidc/provider.ts");
  const secretFile = settings["oidc-client-secret-file"];
  const named = settings["oidc-groups"];
  return new OidcProvider(
    {
      issuer: url,
      clientId,
      scopes: settings["oidc-scopes"] ?? "openid profile",
      userClaim: settings["oidc-user-claim"] ?? "preferred_username",
      groupsClaim: settings["oidc-groups-claim"] ?? "groups",
      ...(secretFile === undefined ? {} : { clientSecret: secretIn(secretFile) }),
      ...(redirect === undefined ? {} : { redirect }),
      ...(named === undefined ? {} : { groups: groupsIn(named) }),
    },
    clock,
  );
}

/** `theirs=ours,admins=staff`. */
function groupsIn(text: string): ReadonlyMap<string, string> {
  return new Map(
    wordsOf(text, "--oidc-groups").map((word) => {
      const [, theirs, ours] = /^(.+)=([^=]+)$/.exec(word) ?? [];
      if (theirs === undefined || ours === undefined)
        throw wrong(
          "oidc-groups",
          `"${word}" is no pair`,
          "write it like --oidc-groups their-group=group-here,another=other",
        );
      return [theirs, ours];
    }),
  );
}

function checkedUrl(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLocal = url !== undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal)) return text;
  throw wrong(name, `"${text.slice(0, 200)}" is not one`, "give an address that begins with https://");
}

function secretIn(file: string): string {
  const fix = "give a file that holds the client's secret, readable for the server alone";
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw wrong("oidc-client-secret-file", error instanceof Error ? error.message : String(error), fix);
  }
  if (text === "") throw wrong("oidc-client-secret-file", `${file} is empty`, fix);
  return text;
}

function wrong(name: string, why: string, fix: string): Fault {
  return new Fault("request-invalid", {
    what: "the settings of the OpenID provider are wrong",
    where: `--${name}`,
    why,
    fix,
  });
}
