// For tests of rights: users and groups.
import { Fault } from "../../../../src/model/fault.ts";
import type { Control } from "../../../../src/control/control.ts";
import type { Caller, Viewer, Write } from "../../../../src/control/write.ts";

export const as = (user: string): Viewer => ({ role: "user", user });

/** ann and ben of group red, cat of green, dan of green and red. */
export async function people(control: Control): Promise<void> {
  for (const name of ["red", "green"]) await control.write({ verb: "put", kind: "usergroup", name, spec: {} });
  for (const [name, group, groups] of [
    ["ann", "red", []],
    ["ben", "red", []],
    ["cat", "green", []],
    ["dan", "green", ["red"]],
  ] as const)
    await control.write({ verb: "put", kind: "user", name, spec: { group, groups } });
}

export const callerOf = (user: string): Caller => ({ identity: as(user), credential: "test", from: "test" });
/** An administrator, whom locks hold. */
export const ROOT: Caller = { identity: { role: "admin" }, credential: "test", from: "test" };

/** `done`, or the reason of the refusal, and where. */
export async function tried(control: Control, caller: Caller, write: object): Promise<string> {
  const before = control.revision;
  try {
    await control.writeAs(caller, write as Exclude<Write, { readonly verb: "join" }>);
    return "done";
  } catch (error) {
    if (!(error instanceof Fault) || control.revision !== before) throw error;
    return error.reason;
  }
}
