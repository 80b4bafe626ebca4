// For tests of rights: users and groups, and a cluster to try them on.
import assert from "node:assert/strict";
import { Fault } from "../../../../src/model/fault.ts";
import { DIRECTIONS } from "../../../../src/model/qos.ts";
import type { Control } from "../../../../src/control/control.ts";
import type { Caller, Viewer, Write } from "../../../../src/control/write.ts";
import { type Lab, openLab, v4 } from "../lab.ts";

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

/** Of network blue. */
export const RANGES = [
  { name: "a", type: "ip4", first: "10.7.0.10", size: 20 },
  { name: "b", type: "ip4", first: "10.7.0.40", size: 20 },
] as const;

type Give = readonly (readonly [rights: readonly string[], kinds: readonly string[], name?: string])[];

/** A cluster of an administrator's: networks with ranges, a reservation, a group, a pool, an endpoint, a host. */
export async function cluster(give: Give = [], mode?: string): Promise<Lab> {
  const lab = await openLab();
  await people(lab.control);
  await lab
    .put("blue", { ...v4("10.7.0.0/24"), ranges: RANGES, vrf: "v", securityGroups: ["web"] })
    .catch(() => undefined);
  const put = (kind: string, name: string, spec: object) =>
    lab.control.write({ verb: "put", kind, name, spec } as never);
  await put("securitygroup", "web", { rules: [] });
  await put("pool", "p", { globalSubnets: [{ cidr: "10.9.<id>.0/24" }] });
  await lab.put("blue", { ...v4("10.7.0.0/24"), ranges: RANGES, vrf: "v" });
  await lab.put("green", v4("10.8.0.0/24"));
  await lab.join(1, { shaping: DIRECTIONS });
  await lab.attach("blue", "h1", "web");
  await lab.control.write({ verb: "reserve", network: "blue", request: { name: "piece", size: 4 } });
  for (const [i, [rights, kinds, name]] of give.entries())
    await put("aclrule", `r${i}`, {
      subject: { user: "ann" },
      resource: { kinds, ...(name === undefined ? { all: true } : { name }) },
      rights,
    });
  if (mode !== undefined) {
    await lab.control.write({ verb: "chown", kind: "network", name: "blue", owner: "ann", group: "red" });
    await lab.control.write({ verb: "chmod", kind: "network", name: "blue", mode });
  }
  return lab;
}

/** Network blue, changed. */
export const blueWith = async (lab: Lab, change: object) => {
  const { spec } = (await lab.snapshot()).networks.find(({ name }) => name === "blue") ?? assert.fail();
  return { verb: "put", kind: "network", name: "blue", spec: { ...spec, ...change } };
};

/** Gives rights to a user. */
export function give(lab: Lab, user: string, resource: object, ...rights: readonly string[]): Promise<unknown> {
  const name = `given-${lab.control.revision}`;
  const write = { verb: "put", kind: "aclrule", name, spec: { subject: { user }, resource, rights } };
  return lab.control.write(write as never);
}

export const put = (kind: string, name: string, spec: object) => ({ verb: "put", kind, name, spec });
