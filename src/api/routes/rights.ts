// Routes about whose a resource is: owner and group, mode, lock; for each kind that is owned.
import { pluralOf } from "../../model/kind.ts";
import { OWNED_KINDS, type OwnedKind, calledOf, typeNameOf } from "../../model/kinds.ts";
import { parseChmod, parseChown, parseLock } from "../../model/parse.ts";
import { MATCH, type Route, jsonOf, matchOf } from "../route.ts";

export function rightsRoutes(): Route[] {
  return OWNED_KINDS.flatMap((kind) => [chownRoute(kind), chmodRoute(kind), lockRoute(kind), unlockRoute(kind)]);
}

function common(kind: OwnedKind, verb: string) {
  return {
    method: "POST",
    path: `/v1/${pluralOf(kind)}/{name}/${verb}`,
    access: "user",
    headers: MATCH,
    answers: { 200: typeNameOf(kind) },
  } as const;
}

function chownRoute(kind: OwnedKind): Route {
  return {
    ...common(kind, "chown"),
    summary: `Gives a ${calledOf(kind)} to a user, or into a group of users; what is left out stays.`,
    body: "ChownRequest",
    write: (call) => ({ verb: "chown", kind, name: call.name, ...parseChown(jsonOf(call)), ...matchOf(call) }),
  };
}

function chmodRoute(kind: OwnedKind): Route {
  return {
    ...common(kind, "chmod"),
    summary: `What owner, group and others may do with a ${calledOf(kind)}.`,
    body: "ChmodRequest",
    write: (call) => ({ verb: "chmod", kind, name: call.name, mode: parseChmod(jsonOf(call)), ...matchOf(call) }),
  };
}

function lockRoute(kind: OwnedKind): Route {
  return {
    ...common(kind, "lock"),
    summary: `Keeps a ${calledOf(kind)} from being used, managed or administered, by administrators, too.`,
    body: "LockRequest",
    write: (call) => ({ verb: "lock", kind, name: call.name, ...parseLock(jsonOf(call)), ...matchOf(call) }),
  };
}

function unlockRoute(kind: OwnedKind): Route {
  return {
    ...common(kind, "unlock"),
    summary: `Ends the lock of a ${calledOf(kind)}.`,
    write: (call) => ({ verb: "lock", kind, name: call.name, ...matchOf(call) }),
  };
}
