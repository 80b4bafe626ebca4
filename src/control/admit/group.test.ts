// What may be written as a security group, and the path of the field of what may not; who still stands on one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../model/fault.ts";
import type { Rule } from "../../model/group.ts";
import { parseGroupPut } from "../../model/parse.ts";
import { openLab } from "../lab.ts";

const rule = (more: object) => ({ direction: "in", action: "allow", protocol: "tcp", ...more });

async function refusalOf(more: object): Promise<string> {
  const lab = await openLab();
  try {
    const spec = parseGroupPut({ spec: { rules: [rule({ ports: [22] }), rule(more)] } });
    await lab.control.write({ verb: "put-group", name: "web", spec });
    return "";
  } catch (error) {
    assert(error instanceof Fault);
    return `${error.reason} ${error.detail.where}`;
  }
}

test("bad rules are refused with the field's path", async () => {
  const cases: readonly (readonly [object, string])[] = [
    [{ ports: [70_000] }, "request-invalid spec.rules[1].ports[0]"],
    [{ ports: ["80-70000"] }, "request-invalid spec.rules[1].ports[0]"],
    [{ ports: [22, "20-10"] }, "request-invalid spec.rules[1].ports[1]"],
    [{ ports: ["20:10"] }, "request-invalid spec.rules[1].ports[0]"],
    [{ ports: ["ssh"] }, "request-invalid spec.rules[1].ports[0]"],
    [{ protocol: "icmp", ports: [1] }, "request-invalid spec.rules[1].ports"],
    [{ icmpType: 8 }, "request-invalid spec.rules[1].icmpType"],
    [{ protocol: "icmp", icmpType: 999 }, "request-invalid spec.rules[1].icmpType"],
    [{ protocol: "sctpp" }, "request-invalid spec.rules[1].protocol"],
    [{ protocol: 256 }, "request-invalid spec.rules[1].protocol"],
    [{ direction: "inbound" }, "request-invalid spec.rules[1].direction"],
    [{ peer: { group: "nobody" } }, "group-unknown spec.rules[1].peer.group"],
    [{ peer: { network: "nowhere" } }, "network-unknown spec.rules[1].peer.network"],
    [{ peer: { first: "10.0.0.1", size: 0 } }, "request-invalid spec.rules[1].peer.size"],
    [{ peer: { first: "10.0.0.1" } }, "request-invalid spec.rules[1].peer.size"],
    [{ peer: { size: 5 } }, "request-invalid spec.rules[1].peer.first"],
    [{ peer: { first: "255.255.255.250", size: 10 } }, "request-invalid spec.rules[1].peer.size"],
    [{ peer: {} }, "request-invalid spec.rules[1].peer"],
    [{ peer: { cidr: "10.0.0.0/8", group: "web" } }, "request-invalid spec.rules[1].peer"],
    [{ peer: { cidr: "10.0.0.1/8" } }, "cidr-invalid spec.rules[1].peer.cidr"],
    [{ peer: { cidr: "10.0.0" } }, "address-invalid spec.rules[1].peer.cidr"],
    [{ protocol: "icmp", peer: { cidr: "fd00::/8" } }, "request-invalid spec.rules[1].peer.cidr"],
    [{ protocol: "icmpv6", peer: { first: "10.0.0.1", size: 2 } }, "request-invalid spec.rules[1].peer.first"],
    [{ colour: "blue" }, "request-invalid spec.rules[1].colour"],
  ];
  for (const [more, wanted] of cases) assert.equal(await refusalOf(more), wanted, JSON.stringify(more));
  for (const good of [
    { ports: [80, "1024-2000"] },
    { protocol: "ipsec" },
    { protocol: 47 },
    { peer: { cidr: "10.0.0.1" } },
  ])
    assert.equal(await refusalOf(good), "", JSON.stringify(good));
});

const rules: readonly Rule[] = [{ direction: "in", action: "allow", protocol: "all" }];

test("a group that somebody has, or names, stays; `default` always does", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (const name of ["web", "db"]) await lab.control.write({ verb: "put-group", name, spec: { rules } });
  await lab.control.write({
    verb: "put-group",
    name: "db",
    spec: { rules: [{ direction: "in", action: "allow", protocol: "tcp", peer: { group: "web" } }] },
  });
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }], securityGroups: ["web", "default"] });
  const blockersOf = async (name: string) => {
    const refused = await lab.control
      .write({ verb: "delete", kind: "securitygroup", name })
      .catch((error: unknown) => error);
    return refused instanceof Fault ? [refused.reason, refused.detail.blockers] : "deleted";
  };
  assert.deepEqual(await blockersOf("web"), ["in-use", ["network/blue", "securitygroup/db"]]);
  assert.deepEqual(await blockersOf("default"), ["forbidden", undefined]);
  assert.deepEqual(await blockersOf("nobody"), ["group-unknown", undefined]);
  assert.equal(await blockersOf("db"), "deleted");
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }], securityGroups: [] });
  assert.equal(await blockersOf("web"), "deleted");
  const unknown = lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }], securityGroups: ["web"] });
  await assert.rejects(unknown, (error) => error instanceof Fault && error.detail.where === "spec.securityGroups[0]");
});

test("`default` is listed like any other; one file may bring groups and networks that name each other", async () => {
  const lab = await openLab();
  const list = async () => (await lab.control.list("securitygroup", { role: "admin" })).items.map(({ name }) => name);
  assert.deepEqual(await list(), ["default"]);
  await lab.control.write({
    verb: "apply",
    items: [
      { kind: "network", name: "blue", spec: { subnets: [{ cidr: "10.7.0.0/16" }], securityGroups: ["web"] } },
      {
        kind: "securitygroup",
        name: "web",
        spec: {
          rules: [
            { direction: "in", action: "allow", protocol: "tcp", peer: { network: "blue" } },
            { direction: "in", action: "allow", protocol: "udp", peer: { group: "later" } },
          ],
        },
      },
      { kind: "securitygroup", name: "later", spec: { rules: [] } },
    ],
  });
  assert.deepEqual((await list()).toSorted(), ["default", "later", "web"]);
});

test("an endpoint's own groups change while it is attached; a commit counts by host", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.control.write({ verb: "put-group", name: "web", spec: { rules } });
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }] });
  await lab.attach("blue", "h1", "a");
  const { resource } = await lab.control.write({
    verb: "patch-endpoint",
    name: "a.eth0",
    patch: { securityGroups: ["web", "web"], allowedAddresses: [{ address: "10.7.0.99" }] },
  });
  assert(resource?.kind === "endpoint");
  assert.deepEqual(resource.spec.securityGroups, ["web"]);
  assert.deepEqual(resource.spec.allowedAddresses, [{ address: "10.7.0.99" }]);
  for (const hosts of [undefined, ["h1"], ["h1"]])
    await lab.control.write({ verb: "commit-group", name: "web", ...(hosts === undefined ? {} : { hosts }) });
  await lab.control.write({ verb: "put-group", name: "web", spec: { rules: [] } });
  const group = await lab.control.find("securitygroup", "web", { role: "admin" });
  assert.deepEqual(group?.spec.commits, { "*": 1, h1: 2 });
  const nobody = lab.control.write({ verb: "commit-group", name: "web", hosts: ["h9"] });
  await assert.rejects(nobody, (error) => error instanceof Fault && error.reason === "host-unknown");
});
