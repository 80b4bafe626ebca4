// A refusal as a user is told it: what is in the way is said, and not whose it is. Refusals name what they are about as
// `network "blue"`, with more about it in parentheses, or as `network/blue`; what stands in a list is a name alone.
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import { ALL_KINDS, type Kind, calledOf } from "../../model/kinds.ts";
import type { Principal } from "../state/principal.ts";
import { builtIn } from "../state/builtIn.ts";
import { type View, get } from "../state/view.ts";
import type { Write } from "../write.ts";
import { isAble } from "./rights.ts";
import { type Sight, isSeenBy, sightOf } from "./sight.ts";

type Place = { readonly view: View; readonly principal: Principal; readonly write: Write };
type Eyes = { readonly view: View; readonly sight: Sight; readonly asked: string };

/** What refusals call kinds, besides what these are called. */
const ALSO: Readonly<Record<string, readonly Kind[]>> = {
  reservation: ["network"],
  group: ["securitygroup", "usergroup"],
};
const KINDS_CALLED = new Map<string, readonly Kind[]>([
  ...ALL_KINDS.map((kind) => [calledOf(kind), [kind]] as const),
  ...Object.entries(ALSO),
]);
// Longer words first: a physical network is not a network.
const WORDS = [...KINDS_CALLED.keys()].toSorted((a, b) => b.length - a.length).join("|");
const NAMED = new RegExp(String.raw`\b(${WORDS}) "([^"]*)"( \([^)]*\))?`, "g");
const KEYS = new RegExp(String.raw`\b(${ALL_KINDS.join("|")})/([\w.~:-]+)`, "g");

/** Of a Fault, without what the user may not see; anything else as it is. */
export function discreet(error: unknown, { view, principal, write }: Place): unknown {
  if (!(error instanceof Fault)) return error;
  const eyes = { view, sight: sightOf(view, principal), asked: JSON.stringify(write) };
  const { detail } = error;
  const { what, why, where, fix, blockers, ...rest } = detail;
  const told = {
    what: withoutNames(eyes, what),
    why: why === undefined || withoutNames(eyes, why) === why ? why : "it is another's, which you may not see",
    where: where !== undefined && withoutNames(eyes, where) !== where ? undefined : where,
    fix: withoutNames(eyes, fix) === fix ? fix : "choose another, or ask an administrator",
    blockers: blockers?.filter((name) => !isHiddenAtAll(eyes, name)),
  };
  const isLess = blockers !== undefined && told.blockers?.length !== blockers.length;
  const isSame = !isLess && told.what === what && told.why === why && told.where === where && told.fix === fix;
  if (isSame) return error;
  const reasons = isLess ? `${told.why ?? "there is more in the way"}; some are another's` : told.why;
  return new Fault(
    error.reason,
    { ...rest, ...defined({ ...told, why: reasons }), what: told.what, fix: told.fix },
    { cause: error },
  );
}

function withoutNames(eyes: Eyes, text: string): string {
  return text
    .replaceAll(NAMED, (whole, word: string, name: string) =>
      isTold(eyes, KINDS_CALLED.get(word) ?? [], name) ? whole : word === "host" ? "a host" : `another's ${word}`,
    )
    .replaceAll(KEYS, (whole, kind: Kind, name: string) =>
      isTold(eyes, [kind], name) ? whole : `another's ${calledOf(kind)}`,
    );
}

/** Whether the user sees the one of these kinds; of what is not there, whether it was asked about. */
function isTold(eyes: Eyes, kinds: readonly Kind[], name: string): boolean {
  const found = seenOf(eyes, kinds, name);
  return found.length === 0 ? eyes.asked.includes(name) : found.some(Boolean);
}

/** What stands in a list is of some kind. */
function isHiddenAtAll(eyes: Eyes, listed: string): boolean {
  const [kind = "", ...rest] = listed.split("/");
  const isKey = rest.length > 0 && ALL_KINDS.some((each) => each === kind);
  const found = isKey ? seenOf(eyes, [kind as Kind], rest.join("/")) : seenOf(eyes, ALL_KINDS, listed);
  return found.length > 0 && !found.some(Boolean);
}

/** Of each resource of this name, whether the user sees it. */
function seenOf({ view, sight }: Eyes, kinds: readonly Kind[], name: string): readonly boolean[] {
  return kinds
    .map((kind) => get(view, kind, name) ?? builtIn(kind, name))
    .filter((resource) => resource !== undefined)
    .map((resource) => isSeenBy(sight, resource) || isAble(sight.principal, resource));
}
