// For tests of rights: users and groups.
import type { Control } from "../../../../src/control/control.ts";
import type { Viewer } from "../../../../src/control/write.ts";

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
