// Refusals of rights: what is missing, to what, and who can give it.
import { Fault } from "../../model/fault.ts";
import { calledOf, seeOf, unknownFault } from "../../model/kinds.ts";
import { type Right, modeGives } from "../../model/rights.ts";
import { type Key, type Kind, type Resource, keyOfResource } from "../../model/resource.ts";
import { partsOf } from "../state/view.ts";
import type { Identity } from "../write.ts";

/** For a resource that the user may see, or that it has another right to. */
/** `field`: what it is needed for, if that is one of the resource's. */
export function rightMissing(user: string, right: Right, resource: Resource, field?: string): Fault {
  const { kind, name, access } = resource;
  const giver = giverOf(user, resource);
  const byMode = access === undefined ? "" : `, or weft ${nounOf(kind)} chmod by who manages it`;
  return new Fault("forbidden", {
    what: `user "${user}" may not ${right} ${calledOf(kind)} "${name}"`,
    where: field === undefined ? `${kind}/${name}` : `spec.${field}`,
    why: `the right ${right} is missing${field === undefined ? "" : `, which it takes to change "${field}"`}`,
    fix: `ask ${giver} for it: an ACL rule gives it${byMode}`,
  });
}

/** Whoever owns it and manages it can change its mode; administrators can always. */
function giverOf(user: string, { access }: Resource): string {
  const { owner, mode = "" } = access ?? {};
  const isAnother = owner !== undefined && owner !== user && modeGives(mode, "owner", "manage");
  return isAnother ? `its owner "${owner}", or an administrator,` : "an administrator";
}

export function createMissing(user: string, kind: Kind, name: string): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not create ${calledOf(kind)} "${name}"`,
    where: `${kind}/${name}`,
    why: `the right create for ${calledOf(kind)}s is missing`,
    fix: "ask an administrator for an ACL rule with create",
  });
}

/** `where`: the field, or the resource. */
export function clusterMissing(user: string, what: string, where: string): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not say ${what}`,
    where,
    why: "it reaches hosts, or what is outside of the network: that takes admin of the clusters of hosts",
    fix: "leave it out, or ask an administrator for an ACL rule with admin for hostcluster",
  });
}

/** What the template of a network restricts, stays restricted in the network. */
export function restricted(user: string, field: string): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not change "${field}"`,
    where: `spec.${field}`,
    why: "the template that the network was made from restricts it",
    fix: "leave it as it is, or ask an administrator",
  });
}

/** For what users never do, or nobody but the server. */
export function notForUsers(user: string, what: string, who: string): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not ${what}`,
    why: `${who} does that`,
    fix: "ask an administrator",
  });
}

/** What a user gives away it must have. */
export function beyondOwn(user: string, what: string, where: string): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not give ${what}`,
    where,
    why: "nobody gives rights that he has not himself",
    fix: "give less, or ask an administrator",
  });
}

/** A name in use by something that the user does not see. */
export function nameInUse(key: Key): Fault {
  const { kind, name } = partsOf(key);
  return new Fault("name-taken", {
    what: `there is a ${calledOf(kind)} "${name}" already`,
    where: `${kind}/${name}`,
    fix: "choose another name",
  });
}

export function lockedFault({ kind, name, lock }: Resource): Fault {
  return new Fault("locked", {
    what: `${calledOf(kind)} "${name}" is locked`,
    where: `${kind}/${name}`,
    why: `its lock is ${lock ?? "all"}; locks are for administrators, too`,
    fix: `unlock it first: weft ${nounOf(kind)} unlock ${name}`,
  });
}

/** Of a lock that another has put on. */
export function notUnlocked(user: string, { kind, name, lockedBy }: Resource): Fault {
  const who = lockedBy === undefined ? "an administrator" : `user "${lockedBy}"`;
  return new Fault("forbidden", {
    what: `user "${user}" may not change the lock of ${calledOf(kind)} "${name}"`,
    where: `${kind}/${name}`,
    why: `${who} has locked it`,
    fix: `ask ${lockedBy === undefined ? who : `${who}, or an administrator`}`,
  });
}

/** What the write names is there, and not the user's to see: to it nothing has that name. */
export class Unseen extends Fault {
  readonly key: Key;
  constructor(resource: Resource) {
    const { reason, detail } = unknownFault(resource.kind, resource.name, "name");
    super(reason, detail);
    this.key = keyOfResource(resource);
  }
}

/** Something goes or changes along that the user does not see, and did not name. */
export function beyondSight(user: string, kind: Kind): Fault {
  return new Fault("forbidden", {
    what: `user "${user}" may not change what is another's`,
    why: `a ${calledOf(kind)} that the user may not see would go or change along`,
    fix: "ask an administrator",
  });
}

/** What the command line calls it. */
function nounOf(kind: Kind): string {
  return seeOf(kind).split(" ")[0] ?? kind;
}

/** Of a host, whoever joins, and nobody: what people write is not theirs. */
export function notForThem(identity: Identity): Fault {
  const who = { host: "a host", join: "a join token", nobody: "a request without a credential" };
  const what = `${who[identity.role as keyof typeof who] ?? identity.role} cannot write this`;
  return new Fault("forbidden", { what, fix: "use a user's token, or an administrator's" });
}
