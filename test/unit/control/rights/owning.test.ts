// What the owner of a network may do: with a network of its own, a reservation, a template and what comes of one.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Lab } from "../lab.ts";
import { v4 } from "../lab.ts";
import { as, callerOf, cluster, give, put, tried } from "./lab.ts";

const ann = callerOf("ann");
const specOf = async (lab: Lab, name: string) =>
  (await lab.snapshot()).networks.find((each) => each.name === name)?.spec ?? assert.fail(name);

test("who makes a network changes its ranges and subnets afterwards", async () => {
  const lab = await cluster([[["create"], ["network"]]]);
  const mine = (more: object) => put("network", "mine", { ...v4("10.9.0.0/24"), ...more });
  assert.equal(await tried(lab.control, ann, mine({})), "done");
  const a = { name: "a", type: "ip4", first: "10.9.0.10", size: 20 };
  const b = { name: "b", type: "ip4", first: "10.9.0.40", size: 20 };
  for (const ranges of [[a], [a, b], [b]]) assert.equal(await tried(lab.control, ann, mine({ ranges })), "done");
  const made = { verb: "instantiate", template: "private-ipv4", request: { name: "lab" } };
  assert.equal(await tried(lab.control, ann, made), "done");
  const { subnets, ...spec } = await specOf(lab, "lab");
  const first = String(subnets[0]?.cidr).replace(/0\/\d+$/, "20");
  const ranges = [{ name: "a", type: "ip4", first, size: 4 }];
  assert.equal(await tried(lab.control, ann, put("network", "lab", { ...spec, subnets, ranges })), "done");
  assert.equal(await tried(lab.control, ann, mine({ ranges: [a, { ...b, mac: "02:00:00:00:00:01" }] })), "forbidden");
  await lab.control.write({ verb: "chown", kind: "network", name: "green", owner: "ann" });
  const given = put("network", "green", { ...(await specOf(lab, "green")), ranges: [{ ...a, first: "10.8.0.9" }] });
  assert.equal(await tried(lab.control, ann, given), "forbidden", "what an administrator gives has his ranges");
});

test("a user extends its own reservation by what it may use, and by nothing else", async () => {
  const lab = await cluster([[["use"], ["network"], "blue"]]);
  const reserve = (name: string, more: object = {}) => ({
    verb: "reserve",
    network: "blue",
    request: { name, size: 2, ...more },
  });
  assert.equal(await tried(lab.control, ann, reserve("mine")), "done");
  assert.equal(await tried(lab.control, ann, reserve("mine")), "done");
  assert.equal(await tried(lab.control, ann, reserve("mine", { first: "10.7.0.45" })), "done");
  const { ranges = [], ...spec } = await specOf(lab, "mine");
  assert.equal(ranges.length, 3);
  const more = { name: "own", from: "a", type: "ip4", first: "10.7.0.20", size: 2 };
  const added = put("network", "mine", { ...spec, ranges: [...ranges, more] });
  assert.equal(await tried(lab.control, ann, added), "forbidden", "ranges of its own");
  assert.equal(await tried(lab.control, ann, put("network", "mine", { ...spec, ranges: ranges.slice(1) })), "done");
  assert.equal(await tried(lab.control, ann, reserve("mine", { tenant: "t" })), "forbidden");
  assert.equal(await tried(lab.control, ann, reserve("piece")), "name-taken", "another's");
  await lab.control.write({ verb: "lock", kind: "network", name: "mine", level: "manage" });
  assert.equal(await tried(lab.control, ann, reserve("mine")), "locked");
  await lab.control.write({ verb: "lock", kind: "network", name: "mine" });
  await lab.control.write(put("user", "ann", { group: "red", quota: { leases: 5 } }) as never);
  assert.equal(await tried(lab.control, ann, reserve("mine")), "quota-exceeded");
});

test("what a template restricts stays so: in the template, its copies, and networks made from them", async () => {
  const lab = await cluster();
  const network = { pool: { name: "private-ipv4" }, mtu: 1400 };
  await lab.control.write(put("template", "campus", { network, restricted: ["mtu", "ranges.gateway"] }) as never);
  await lab.control.write({ verb: "chmod", kind: "template", name: "campus", mode: "------um-" });
  const written = (name: string, more: object, spec: object = { restricted: ["mtu", "ranges.gateway"] }) =>
    put("template", name, { network: { ...network, ...more }, ...spec });
  const clone = (name: string) => ({ verb: "clone-template", template: "campus", name });
  assert.equal(await tried(lab.control, ann, clone("copy")), "forbidden");
  await give(lab, "ann", { kinds: ["template"], all: true }, "create");
  assert.equal(await tried(lab.control, ann, clone("copy")), "done");
  for (const name of ["campus", "copy"]) {
    assert.equal(await tried(lab.control, ann, written(name, {}, {})), "forbidden", `${name}: no restrictions`);
    assert.equal(await tried(lab.control, ann, written(name, {}, { restricted: ["mtu"] })), "forbidden");
    assert.equal(await tried(lab.control, ann, written(name, { mtu: 1300 })), "forbidden", `${name}: another value`);
    const inputs = [{ name: "mtu", type: "number", field: "mtu" }];
    const open = written(name, {}, { restricted: ["mtu", "ranges.gateway"], inputs });
    assert.equal(await tried(lab.control, ann, open), "forbidden", `${name}: an input for it`);
    assert.equal(await tried(lab.control, ann, written(name, { dns: ["10.0.0.1"] })), "done", `${name}: another field`);
    const made = (more: object) => ({
      verb: "instantiate",
      template: name,
      request: { name: `of-${name}`, network: more },
    });
    assert.equal(await tried(lab.control, ann, made({ mtu: 1300 })), "forbidden");
    assert.equal(await tried(lab.control, ann, made({})), "done");
    const { restricted, ...spec } = await specOf(lab, `of-${name}`);
    assert.deepEqual(restricted, ["mtu", "ranges.gateway"]);
    const edited = (more: object) => put("network", `of-${name}`, { ...spec, ...more });
    assert.equal(await tried(lab.control, ann, edited({ mtu: 1300 })), "forbidden", "an edit afterwards");
    assert.equal(await tried(lab.control, ann, edited({ restricted: [] })), "forbidden");
    const first = String(spec.subnets[0]?.cidr).replace(/0\/\d+$/, "20");
    const range = { name: "a", type: "ip4", first, size: 4 };
    assert.equal(await tried(lab.control, ann, edited({ ranges: [{ ...range, mtu: 1300 }] })), "forbidden");
    assert.equal(await tried(lab.control, ann, edited({ ranges: [{ ...range, gateway: "none" }] })), "forbidden");
    assert.equal(await tried(lab.control, ann, edited({ ranges: [range] })), "done");
    assert.deepEqual((await specOf(lab, `of-${name}`)).restricted, restricted, "left out, they stay");
    await lab.control.write(edited({ ranges: [range], restricted: [] }) as never);
    assert.equal(await tried(lab.control, ann, edited({ ranges: [range], mtu: 1300 })), "done", "when they are lifted");
  }
  const own = written("own", {});
  await give(lab, "ann", { kinds: ["pool"], all: true }, "use");
  assert.equal(await tried(lab.control, ann, own), "done");
  assert.equal(await tried(lab.control, ann, written("own", { mtu: 1300 }, {})), "done", "by who made it");
  const { access } = (await lab.control.find("template", "own", as("ann"))) ?? assert.fail();
  assert.equal(access?.mode, "uma------");
});

test("what counts in a group's quota leaves the group by who manages it", async () => {
  const lab = await cluster();
  await lab.control.write(put("user", "ann", { group: "red", groups: ["green"] }) as never);
  await lab.control.write(put("usergroup", "red", { quota: { networks: 1 } }) as never);
  const made = (name: string) => ({ verb: "instantiate", template: "private-ipv4", request: { name } });
  assert.equal(await tried(lab.control, ann, made("one")), "done");
  const away = { verb: "chown", kind: "network", name: "one", group: "green" };
  assert.equal(await tried(lab.control, ann, away), "forbidden");
  assert.equal(await tried(lab.control, ann, made("two")), "quota-exceeded");
  await give(lab, "ann", { kinds: ["usergroup"], name: "red" }, "manage");
  assert.equal(await tried(lab.control, ann, away), "done");
});

test("a user without a quota may own so many VRFs, however they are made; a quota says another number", async () => {
  const lab = await cluster([[["create"], ["network", "vrf", "securitygroup"]]]);
  const vrfs = (from: number, count: number) => ({
    verb: "apply",
    items: Array.from({ length: count }, (_, i) => ({ kind: "vrf", name: `v${from + i}`, spec: {} })),
  });
  assert.equal(await tried(lab.control, ann, vrfs(0, 101)), "quota-exceeded");
  assert.equal(await tried(lab.control, ann, vrfs(0, 100)), "done");
  assert.equal(await tried(lab.control, ann, vrfs(100, 1)), "quota-exceeded");
  await lab.control.write(put("user", "ann", { group: "red", quota: { vrfs: 101, securityGroups: 0 } }) as never);
  assert.equal(await tried(lab.control, ann, vrfs(100, 1)), "done");
  assert.equal(await tried(lab.control, ann, put("securitygroup", "g", { rules: [] })), "quota-exceeded");
});
