// What may be written as a security group, and the path of the field of what may not; who still stands on one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../../src/model/fault.ts";
import type { Rule } from "../../../../../src/model/group.ts";
import { parsePut } from "../../../../../src/model/parse.ts";
import { openLab, refuses } from "../../lab.ts";

const rule = (more: object) => ({ direction: "in", action: "allow", protocol: "tcp", ...more });

async function refusalOf(more: object): Promise<string> {
  const lab = await openLab();
  try {
    const spec = parsePut("securitygroup", { spec: { rules: [rule({ ports: [22] }), rule(more)] } });
    await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec });
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
  for (const name of ["web", "db"])
    await lab.control.write({ verb: "put", kind: "securitygroup", name, spec: { rules } });
  await lab.control.write({
    verb: "put",
    kind: "securitygroup",
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

test("a network stays that is the peer of a group, which is named; groups with other peers are not", async () => {
  const lab = await openLab();
  for (const name of ["blue", "red"]) await lab.put(name, { subnets: [{ cidr: "10.7.0.0/16" }], vrf: name });
  for (const [name, peer] of [
    ["ofBlue", { network: "blue" }],
    ["ofRed", { network: "red" }],
    ["ofAll", {}],
  ] as const) {
    const spec = { rules: [rule(name === "ofAll" ? {} : { peer })] as Rule[] };
    await lab.control.write({ verb: "put", kind: "securitygroup", name, spec });
  }
  const refused = await lab.control.write({ verb: "delete", kind: "network", name: "blue" }).catch((e: unknown) => e);
  assert(refused instanceof Fault);
  assert.deepEqual([refused.reason, refused.detail.blockers], ["in-use", ["securitygroup/ofBlue"]]);
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
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules } });
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
  await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: [] } });
  const group = await lab.control.find("securitygroup", "web", { role: "admin" });
  assert.deepEqual(group?.spec.commits, { "*": 1, h1: 2 });
  const nobody = lab.control.write({ verb: "commit-group", name: "web", hosts: ["h9"] });
  await assert.rejects(nobody, (error) => error instanceof Fault && error.reason === "host-unknown");
});

test("rules are kept in one form: names of protocols, prefixes of addresses, each port once", async () => {
  const lab = await openLab();
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }] });
  const kept = async (more: object) => {
    const spec = parsePut("securitygroup", { spec: { rules: [rule(more)] } });
    await lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec });
    return (await lab.control.find("securitygroup", "web", { role: "admin" }))?.spec.rules[0];
  };
  const cases: readonly (readonly [object, object])[] = [
    [{ protocol: "TCP" }, { protocol: "tcp" }],
    [{ protocol: 6 }, { protocol: 6 }],
    [{ ports: [22, "22", 80, "80-90", 22] }, { ports: [22, 80, "80-90"] }],
    [{ protocol: 17, ports: [53] }, {}],
    [{ protocol: "ICMP", icmpType: 8 }, { protocol: "icmp" }],
    [{ protocol: "icmpv6", icmpType: 128 }, {}],
    [{ protocol: 58, icmpType: 128, peer: { cidr: "fd00::/8" } }, {}],
    [{ protocol: "icmp", peer: { cidr: "10.0.0.0/8" } }, {}],
    [{ protocol: "icmpv6", peer: { first: "fd00::1", size: 2 } }, {}],
    [{ protocol: "icmp", peer: { network: "blue" } }, {}],
    [{ peer: { cidr: "10.0.0.1" } }, { peer: { cidr: "10.0.0.1/32" } }],
    [{ peer: { cidr: "FD00::0:1" } }, { peer: { cidr: "fd00::1/128" } }],
    [{ peer: { cidr: "FD00:0::/16" } }, { peer: { cidr: "fd00::/16" } }],
    [{ peer: { first: "255.255.255.246", size: 10 } }, {}],
    [
      { peer: { first: "FFFF:ffff:ffff:ffff:ffff:ffff:ffff:fff6", size: 10 } },
      { peer: { first: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff6", size: 10 } },
    ],
    [{ peer: { group: "default" } }, {}],
    [{ peer: { group: "web" } }, {}],
  ];
  for (const [more, other] of cases)
    assert.deepEqual(await kept(more), rule({ ...more, ...other }), JSON.stringify(more));
  for (const [more, where, fix] of [
    [{ peer: { first: "255.255.255.246", size: 11 } }, "peer.size", /make it smaller/],
    [{ peer: { first: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff6", size: 11 } }, "peer.size", /make it smaller/],
    [{ protocol: 1, peer: { cidr: "fd00::/8" } }, "peer.cidr", /choose icmpv6, or/],
    [{ protocol: 58, peer: { first: "10.0.0.1", size: 1 } }, "peer.first", /choose icmp, or/],
    [{ protocol: "udp", icmpType: 8 }, "icmpType", /choose icmp or icmpv6/],
    [{ protocol: "all", ports: [1] }, "ports", /choose tcp or udp/],
    [{ peer: { first: "10.0.0.1", size: 2, cidr: "10.0.0.0/8" } }, "peer", /exactly one/],
    [{ peer: { size: 2, network: "blue" } }, "peer", /exactly one/],
  ] as const) {
    const spec = parsePut("securitygroup", { spec: { rules: [rule(more)] } });
    await refuses(lab, ["request-invalid", `spec.rules[0].${where}`], fix, () =>
      lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec }),
    );
  }
});

test("who names a group keeps it: a network, a range of one, an endpoint, another group, but not itself", async () => {
  const lab = await openLab();
  await lab.join(1);
  const put = (name: string, peer?: object) =>
    lab.control.write({
      verb: "put",
      kind: "securitygroup",
      name,
      // A rule of two names it.
      spec: {
        rules: [
          { ...rules[0], protocol: "tcp", ports: ["99"] } as Rule,
          { ...rules[0], ...(peer && { peer }) } as Rule,
        ],
      },
    });
  await put("web");
  await put("web", { group: "web" });
  await put("other", { group: "web" });
  const range = { name: "a", type: "ip4", first: "10.7.0.9", size: 4, securityGroups: ["web"] } as const;
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/16" }], ranges: [range] });
  await lab.put("green", { subnets: [{ cidr: "10.7.0.0/16" }], securityGroups: ["web"] });
  await lab.put("plain", { subnets: [{ cidr: "10.7.0.0/16" }] });
  await lab.attach("plain", "h1", "db", { securityGroups: ["web"] });
  await lab.attach("plain", "h1", "free");
  const remove = (name: string) => () => lab.control.write({ verb: "delete", kind: "securitygroup", name });
  const { detail } = await refuses(lab, "in-use", /"web" is in use/, remove("web"));
  assert.deepEqual(detail.blockers, ["endpoint/db.eth0", "network/blue", "network/green", "securitygroup/other"]);
  await lab.control.write({ verb: "patch-endpoint", name: "db.eth0", patch: { securityGroups: ["other"] } });
  for (const name of ["blue", "green"]) await lab.put(name, { subnets: [{ cidr: "10.7.0.0/16" }] });
  await put("other");
  await remove("web")();
  const [users] = [await refuses(lab, "in-use", /"other" is in use/, remove("other"))];
  assert.deepEqual(users.detail.blockers, ["endpoint/db.eth0"]);
  await refuses(lab, "forbidden", /cannot be deleted/, remove("default"));
  await refuses(lab, ["group-unknown", "name"], /no security group "gone"/, remove("gone"));
  const long = () => lab.attach("plain", "h1", "long", { securityGroups: ["x".repeat(253)] });
  await refuses(lab, ["group-unknown", "securityGroups[0]"], /no security group "x{80}"/, long);
  // A network that is somebody's peer goes by force only.
  await put("other", { network: "green" });
  const green = (force: boolean) => () => lab.control.write({ verb: "delete", kind: "network", name: "green", force });
  const peers = await refuses(lab, "in-use", /"green" is the peer of security groups/, green(false));
  assert.deepEqual(peers.detail.blockers, ["securitygroup/other"]);
  await green(true)();
});

test("groups of networks and endpoints: each once, in order, and there", async () => {
  const lab = await openLab();
  await lab.join(1);
  for (const name of ["a", "b"]) await lab.control.write({ verb: "put", kind: "securitygroup", name, spec: { rules } });
  const of = (securityGroups: readonly string[]) => ({ subnets: [{ cidr: "10.7.0.0/16" }], securityGroups });
  assert.deepEqual((await lab.put("blue", of(["b", "default", "a", "b"]))).spec.securityGroups, ["a", "b", "default"]);
  assert.deepEqual((await lab.attach("blue", "h1", "x", { securityGroups: ["b", "a", "b"] })).spec.securityGroups, [
    "a",
    "b",
  ]);
  const attach = (more: object) => () => lab.attach("blue", "h1", "y", more);
  await refuses(lab, ["group-unknown", "securityGroups[1]"], /"c"/, attach({ securityGroups: ["a", "c"] }));
  await refuses(lab, ["group-unknown", "spec.securityGroups[2]"], /"c"/, () =>
    lab.put("blue", of(["default", "a", "c"])),
  );
  const allowed = (one: object) => ({ allowedAddresses: [{ address: "10.9.0.1" }, one] });
  await refuses(lab, ["address-invalid", "allowedAddresses[1].address"], /"x"/, attach(allowed({ address: "x" })));
  await refuses(
    lab,
    ["address-invalid", "allowedAddresses[1].mac"],
    /"x"/,
    attach(allowed({ address: "10.9.0.2", mac: "x" })),
  );
  const patch = { securityGroups: ["c"] };
  const patching = () => lab.control.write({ verb: "patch-endpoint", name: "x.eth0", patch });
  await refuses(lab, ["group-unknown", "securityGroups[0]"], /"c"/, patching);
});

test("commits are counted by the server alone: for all hosts, or for some that are there", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const put = (more: object = {}) =>
    lab.control.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules, ...more } });
  const commit =
    (hosts?: readonly string[], name = "web") =>
    () =>
      lab.control.write({ verb: "commit-group", name, ...(hosts === undefined ? {} : { hosts }) });
  const commits = async () => (await lab.control.find("securitygroup", "web", { role: "admin" }))?.spec.commits;
  await put({ commits: { "*": 9 } });
  assert.equal(await commits(), undefined, "of a new group there are none");
  await commit()();
  await commit()();
  await commit(["h1", "h2"])();
  await commit(["h2"])();
  assert.deepEqual(await commits(), { "*": 2, h1: 1, h2: 2 });
  await put({ description: "as it was" });
  await put({ commits: { "*": 2, h1: 1, h2: 2 } });
  assert.deepEqual(await commits(), { "*": 2, h1: 1, h2: 2 });
  for (const wrong of [{}, { "*": 3, h1: 1, h2: 2 }])
    await refuses(lab, ["immutable", "spec.commits"], /"web" has other commits/, () => put({ commits: wrong }));
  await refuses(lab, ["host-unknown", "hosts"], /no host "h3"/, commit(["h1", "h3"]));
  await refuses(lab, ["group-unknown", "name"], /"gone"/, commit(undefined, "gone"));
  assert.deepEqual(await commits(), { "*": 2, h1: 1, h2: 2 });
});

test("`default` as it is always is nobody's to write; another one is, and that one may be what it was", async () => {
  const lab = await openLab();
  const find = () => lab.control.find("securitygroup", "default", { role: "admin" });
  const before = (await find()) ?? assert.fail();
  const put = (spec: object) =>
    lab.control.write({ verb: "put", kind: "securitygroup", name: "default", spec: spec as typeof before.spec });
  assert.deepEqual((await put(before.spec)).changes, []);
  const { resource } = await lab.control.write({ verb: "put", kind: "securitygroup", name: "same", spec: before.spec });
  assert.deepEqual([resource?.name, resource?.revision], ["same", 1], "only the name makes it that group");
  await lab.control.write({ verb: "delete", kind: "securitygroup", name: "same" });
  assert.equal((await find())?.revision, 0);
  await put({ rules });
  assert.deepEqual((await find())?.spec, { rules });
  const { changes } = await put(before.spec);
  assert.equal(changes.length, 1);
  assert.deepEqual((await find())?.spec, before.spec);
  const page = async (after: string, limit: number) => {
    const { items, hasMore } = await lab.control.list("securitygroup", { role: "admin" }, { after, limit });
    return [...items.map(({ name }) => name), hasMore];
  };
  for (const name of ["a", "z"]) await lab.control.write({ verb: "put", kind: "securitygroup", name, spec: { rules } });
  assert.deepEqual(await page("", 2), ["a", "default", true]);
  assert.deepEqual(await page("", 3), ["a", "default", "z", false]);
  assert.deepEqual(await page("default", 2), ["z", false]);
  assert.deepEqual(await page("a", 1), ["default", true]);
});
