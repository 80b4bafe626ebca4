// Endpoints: who chooses address and MAC, what is refused, who may end one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, openLab, refuses, v4 } from "./lab.ts";

test("an endpoint of a global network gets address and MAC in its own commit", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", { subnets: [{ cidr: "10.7.0.0/29" }, { cidr: "fd00:7::/64" }] });
  const web = await lab.attach("blue", "h1", "web");
  assert.deepEqual(
    [web.name, web.spec.addresses, web.spec.mac],
    ["web.eth0", ["10.7.0.2", "fd00:7::2"], "02:00:0a:07:00:02"],
  );
  // Again, after an answer that was lost: the same endpoint, no commit.
  assert.deepEqual(await lab.attach("blue", "h1", "web"), web);
  assert.equal((await lab.snapshot()).revision, web.revision);
  const moved = await lab.attach("blue", "h1", "web", { netns: "/proc/7/ns/net" });
  assert.deepEqual(
    [moved.uid, moved.spec.netns, moved.spec.addresses],
    [web.uid, "/proc/7/ns/net", web.spec.addresses],
  );
  await refuses(lab, "name-taken", /it is on host "h1"/, () => lab.attach("blue", "h2", "web"));
  await refuses(lab, "name-taken", /it has 10.7.0.2, fd00:7::2, not 10.7.0.5/, () =>
    lab.attach("blue", "h1", "web", { addresses: ["10.7.0.5"] }),
  );
  const db = await lab.attach("blue", "h2", "db", { addresses: ["10.7.0.6"], mac: "0A:00:00:00:00:01" });
  assert.deepEqual([db.spec.addresses, db.spec.mac], [["10.7.0.6", "fd00:7::3"], "0a:00:00:00:00:01"]);
  const wish = (more: object) => () => lab.attach("blue", "h1", "api", more);
  await refuses(lab, "address-taken", /endpoint "db.eth0" on host "h2" has it/, wish({ addresses: ["10.7.0.6"] }));
  await refuses(lab, "address-taken", /kept for the gateway/, wish({ addresses: ["10.7.0.1"] }));
  await refuses(lab, "address-taken", /kept for broadcast/, wish({ addresses: ["10.7.0.7"] }));
  await refuses(lab, "address-taken", /kept for the network itself/, wish({ addresses: ["fd00:7::"] }));
  await refuses(
    lab,
    ["address-outside", "addresses[0]"],
    /10.8.0.1 is outside network "blue".*choose from 10.7.0.0\/29 or fd00:7::\/64/,
    wish({ addresses: ["10.8.0.1"] }),
  );
  await refuses(lab, "address-invalid", /is not an IP address/, wish({ addresses: ["10.7.0.300"] }));
  await refuses(lab, ["request-invalid", "slice"], /has no slice "r"/, wish({ slice: "r" }));
  await refuses(lab, "request-invalid", /second IPv4/, wish({ addresses: ["10.7.0.3", "10.7.0.4"] }));
  await refuses(lab, "address-taken", /MAC 0a:00:00:00:00:01 is taken/, wish({ mac: "0a:00:00:00:00:01" }));
  await refuses(lab, "address-taken", /the gateway has it/, wish({ mac: "02:00:0a:07:00:01" }));
  await refuses(lab, "address-invalid", /unicast MAC/, wish({ mac: "03:00:00:00:00:01" }));
  await refuses(lab, "request-invalid", /absolute path/, wish({ netns: "web" }));
  await refuses(lab, "name-invalid", /name of an interface/, wish({ ifname: "a-name-with-16-by" }));
  await refuses(lab, "network-unknown", /no network "blu"/, () => lab.attach("blu", "h1", "api"));
  await refuses(lab, "host-unknown", /no host "h9"/, () => lab.attach("blue", "h9", "api"));
  for (const owner of ["a", "b", "c"]) await lab.attach("blue", "h1", owner);
  await refuses(lab, "exhausted", /no free address: all 5 of 10.7.0.0\/29 are in use/, wish({}));
  await lab.detach("a.eth0");
  // In IPv4 nothing else is left, so quarantine does not count; in IPv6 there is.
  assert.deepEqual((await lab.attach("blue", "h2", "api")).spec.addresses, ["10.7.0.3", "fd00:7::7"]);
});

test("addresses with equal low bits still get different MACs", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.put("six", v4("fd00:6::/64"));
  const macs = await Promise.all(
    ["fd00:6::5", "fd00:6::1:0:5", "fd00:6::2:0:5"].map((ip, i) =>
      lab.attach("six", "h1", `w${i}`, { addresses: [ip] }),
    ),
  );
  assert.deepEqual(
    macs.map((endpoint) => endpoint.spec.mac),
    ["02:00:00:00:00:05", "06:00:00:00:00:05", "0e:00:00:00:00:05"],
  );
});

test("an endpoint of a local network is the agent's choice, within its block and slice", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("dcos", {
    ...v4("9.0.0.0/8", 24),
    slices: [
      { name: "mesos", bridge: "m" },
      { name: "docker", bridge: "d" },
    ],
  });
  const claim =
    (addresses: readonly string[] | undefined, more: object = {}, host = "h1") =>
    () =>
      lab.attach("dcos", host, "web", { ...(addresses === undefined ? {} : { addresses }), ...more });
  await refuses(
    lab,
    "address-outside",
    /9.0.1.2 is outside the part of network "dcos" that host "h1" has/,
    claim(["9.0.1.2"]),
  );
  await refuses(lab, "address-outside", /choose from 9.0.0.128\/25/, claim(["9.0.0.2"], { slice: "docker" }));
  await refuses(lab, "request-invalid", /no slice "lxc".*mesos, docker/, claim(["9.0.0.2"], { slice: "lxc" }));
  await refuses(lab, "request-invalid", /the host's agent assigns/, claim(undefined));
  await refuses(lab, "address-taken", /kept for the gateway/, claim(["9.0.0.129"], { slice: "docker" }));
  const web = await claim(["9.0.0.130"], { slice: "docker", mac: "02:42:00:00:00:01" })();
  assert.deepEqual([web.spec.slice, web.spec.mac], ["docker", "02:42:00:00:00:01"]);
  assert.deepEqual(await claim(["9.0.0.130"], { slice: "docker", mac: "02:42:00:00:00:01" })(), web);
  await refuses(lab, "address-taken", /endpoint "web.eth0" on host "h1"/, () =>
    lab.attach("dcos", "h1", "db", { addresses: ["9.0.0.130"], slice: "docker" }),
  );
  await refuses(lab, "address-taken", /MAC/, () =>
    lab.attach("dcos", "h1", "db", { addresses: ["9.0.0.131"], mac: "02:42:00:00:00:01" }),
  );
  // Another host's bridge is another segment.
  assert.equal(
    (await lab.attach("dcos", "h2", "db", { addresses: ["9.0.1.131"], mac: "02:42:00:00:00:01" })).spec.mac,
    "02:42:00:00:00:01",
  );
  const later = await claim(["9.0.0.140"], { slice: "docker" })();
  assert.deepEqual([later.uid, later.spec.addresses], [web.uid, ["9.0.0.140"]]);
  await lab.attach("dcos", "h1", "next", { addresses: ["9.0.0.130"] });
});

test("detaching: a host removes its own, an administrator asks for it", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  const by = (host: string) => ({ role: "host", host }) as const;
  const detach = (endpoint: string, viewer: { role: "admin" } | { role: "host"; host: string }) => () =>
    lab.control.write({ verb: "detach", endpoint, by: viewer });
  await refuses(
    lab,
    "forbidden",
    /host "h2" cannot change endpoint "web.eth0" of host "h1"/,
    detach("web.eth0", by("h2")),
  );
  await refuses(lab, "endpoint-unknown", /no endpoint "gone.eth0"/, detach("gone.eth0", ADMIN));
  assert.deepEqual((await detach("gone.eth0", by("h1"))()).changes, []);
  const { resource } = await detach("web.eth0", ADMIN)();
  assert.equal(resource?.kind === "endpoint" && resource.spec.detaching, true);
  assert.deepEqual((await detach("web.eth0", ADMIN)()).changes, []);
  // A repeated claim does not take the request back, and a new workload has to wait.
  assert.equal((await lab.attach("blue", "h1", "web")).spec.detaching, true);
  await refuses(lab, "name-taken", /"web\.eth0" exists: it is being detached/, () =>
    lab.attach("blue", "h1", "web", { netns: "/other" }),
  );
  await detach("web.eth0", by("h1"))();
  assert.deepEqual((await lab.snapshot()).endpoints, []);
});

test("a claim that comes again is the same endpoint, or another of that name, and says what differs", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", v4("10.7.0.0/24"));
  await lab.put("green", { ...v4("10.8.0.0/24"), vrf: "blue" });
  const web = await lab.attach("blue", "h1", "web", { tenant: "acme", mac: "02:11:00:00:00:01" });
  await lab.attach("blue", "h1", "free");
  const again = (owner: string, more: object, network = "blue", host = "h1") => lab.attach(network, host, owner, more);
  for (const more of [{}, { tenant: "acme" }, { mac: "02:11:00:00:00:01" }, { addresses: ["10.7.0.2"] }])
    assert.deepEqual(await again("web", more), web);
  const cases: readonly (readonly [RegExp, () => Promise<unknown>])[] = [
    [/it is of tenant acme/, () => again("web", { tenant: "zen" })],
    [/it is of no tenant/, () => again("free", { tenant: "zen" })],
    [/it is in network "blue"/, () => again("web", {}, "green")],
    [/it is on host "h1"/, () => again("web", {}, "blue", "h2")],
    [/it has MAC 02:11:00:00:00:01, not 02:11:00:00:00:02/, () => again("web", { mac: "02:11:00:00:00:02" })],
    [/it has 10\.7\.0\.2, not 10\.7\.0\.9/, () => again("web", { addresses: ["10.7.0.2", "10.7.0.9"] })],
  ];
  for (const [text, attempt] of cases) await refuses(lab, ["name-taken", "owner"], text, attempt);
  // A drained host, a disabled network: what is there is confirmed, also changed.
  await lab.control.write({ verb: "drain", host: "h1", drained: true });
  await lab.put("blue", { ...v4("10.7.0.0/24"), enabled: false });
  assert.equal((await again("web", { netns: "/proc/9/ns/net" })).spec.netns, "/proc/9/ns/net");
});

test("whose an endpoint is: a host's token is for its own, in every verb", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("blue", v4("10.7.0.0/24"));
  await lab.attach("blue", "h1", "web");
  const claim = { network: "blue", host: "h1", owner: "x", ifname: "eth0", netns: "/n" };
  const other = { role: "host", host: "h2" } as const;
  const own = { role: "host", host: "h1" } as const;
  const text = /host "h2" cannot change/;
  const attach = (by: typeof own | typeof other | typeof ADMIN) => () =>
    lab.control.write({ verb: "attach", claim, by });
  const all = (by: typeof own | typeof other) => () =>
    lab.control.write({ verb: "attach-all", claims: [{ ...claim, owner: "y" }], by });
  const detach =
    (by: typeof own | typeof other, force = false) =>
    () =>
      lab.control.write({ verb: "detach", endpoint: "web.eth0", by, force });
  await refuses(lab, "forbidden", text, attach(other));
  await refuses(lab, "forbidden", text, all(other));
  for (const force of [true, false]) await refuses(lab, "forbidden", text, detach(other, force));
  await attach(own)();
  await attach(ADMIN)();
  await all(own)();
  assert.equal((await lab.snapshot()).endpoints.length, 3);
  await detach(own)();
  assert.deepEqual((await lab.snapshot()).endpoints.map(({ name }) => name).toSorted(), ["x.eth0", "y.eth0"]);
  const two = [claim, { ...claim, owner: "z", ifname: "a b" }];
  const wrong = () => lab.control.write({ verb: "attach-all", claims: two, by: own });
  await refuses(lab, ["name-invalid", "endpoints[1].ifname"], /name of an interface/, wrong);
});

test("a MAC is nobody's twice: on a segment, or on a host of a routed network; made of the first address", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("near", v4("9.0.0.0/16", 24));
  const near = (host: string, owner: string, address: string, more: object = {}) =>
    lab.attach("near", host, owner, { addresses: [address], ...more });
  assert.equal((await near("h1", "a", "9.0.0.2")).spec.mac, "02:00:09:00:00:02");
  const mac = "02:11:00:00:00:01";
  await near("h1", "b", "9.0.0.3", { mac });
  await refuses(lab, "address-taken", /MAC 02:11:00:00:00:01 is taken .*"b\.eth0" on host "h1"/, () =>
    near("h1", "c", "9.0.0.4", { mac }),
  );
  await near("h2", "d", "9.0.1.2", { mac });
  // A repeated claim may say another MAC, if nobody there has it; without one it keeps its own.
  assert.equal((await near("h1", "a", "9.0.0.9")).spec.mac, "02:00:09:00:00:02");
  assert.equal((await near("h1", "a", "9.0.0.9", { mac: "02:11:00:00:00:07" })).spec.mac, "02:11:00:00:00:07");
  await refuses(lab, "address-taken", /is taken/, () => near("h1", "a", "9.0.0.9", { mac }));
  // The MAC that an address would make is another's: the next one is made up.
  await near("h1", "e", "9.0.0.5", { mac: "02:00:09:00:00:06" });
  assert.equal((await near("h1", "f", "9.0.0.6")).spec.mac, "06:00:09:00:00:06");
  assert.equal((await near("h2", "g", "9.0.1.6")).spec.mac, "02:00:09:00:01:06");

  await lab.put("six", { subnets: [{ cidr: "fd00:6::/64", gateway: "fd00:6::5" }] });
  const six = (owner: string, address: string, more: object = {}) =>
    lab.attach("six", "h1", owner, { addresses: [address], ...more });
  const low = ["fd00:6::1:0:5", "fd00:6::2:0:5", "fd00:6::3:0:5"];
  const made: string[] = [];
  for (const [i, address] of low.entries()) made.push((await six(`w${i}`, address)).spec.mac);
  assert.deepEqual(made, ["06:00:00:00:00:05", "0e:00:00:00:00:05", "12:00:00:00:00:05"], "the first is the gateway's");
  await refuses(lab, ["address-taken", "mac"], /MACs made from fd00:6::4:0:5 are taken/, () =>
    six("w3", "fd00:6::4:0:5"),
  );
  await six("w3", "fd00:6::4:0:5", { mac: "02:11:00:00:00:09" });
  await refuses(lab, "address-taken", /the gateway has it/, () => six("w4", "fd00:6::9", { mac: "02:00:00:00:00:05" }));
});

test("a name that another host has in a local network is qualified, and stays so", async () => {
  const lab = await openLab();
  for (const n of [1, 2, 3]) await lab.join(n);
  await lab.put("near", v4("9.0.0.0/16", 24));
  await lab.put("blue", v4("10.7.0.0/24"));
  const one = await lab.attach("near", "h1", "web", { addresses: ["9.0.0.2"] });
  const two = await lab.attach("near", "h2", "web", { addresses: ["9.0.1.2"] });
  assert.deepEqual([one.name, two.name], ["web.eth0", "web.eth0@h2"]);
  await lab.control.write({ verb: "detach", endpoint: "web.eth0", by: { role: "host", host: "h1" } });
  assert.deepEqual(
    await lab.attach("near", "h2", "web", { addresses: ["9.0.1.2"] }),
    two,
    "also when the name is free",
  );
  const three = await lab.attach("near", "h3", "web", { addresses: ["9.0.2.2"] });
  assert.equal(three.name, "web.eth0");
  await refuses(lab, "name-taken", /it is on host "h3"/, () => lab.attach("blue", "h1", "web"));
});

test("what a local network's host may say: its block's addresses, one of a family, and no range", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  await lab.put("near", {
    subnets: [
      { cidr: "9.0.0.0/16", hostPrefix: 24 },
      { cidr: "fd09::/64", hostPrefix: 80 },
    ],
  });
  const wish =
    (addresses: readonly string[], more: object = {}, owner = "web") =>
    () =>
      lab.attach("near", "h1", owner, { addresses, ...more });
  await refuses(lab, ["request-invalid", "addresses"], /expected at least one/, wish([]));
  await refuses(lab, ["range-unknown", "range"], /the network has no ranges/, wish(["9.0.0.2"], { range: "a" }));
  await refuses(lab, ["request-invalid", "slice"], /no slice "x".*leave it out/, wish(["9.0.0.2"], { slice: "x" }));
  await refuses(lab, ["request-invalid", "addresses[1]"], /second IPv4/, wish(["9.0.0.2", "9.0.0.3"]));
  for (const [address, role] of [
    ["9.0.0.0", "the network itself"],
    ["9.0.0.1", "the gateway"],
    ["9.0.0.255", "broadcast"],
    ["fd09::", "the network itself"],
    ["fd09::1", "the gateway"],
  ] as const)
    await refuses(lab, "address-taken", new RegExp(`kept for ${role}`), wish([address]));
  await refuses(lab, "address-outside", /9\.0\.1\.2 is outside the part .* host "h1" has/, wish(["9.0.1.2"]));
  assert.deepEqual((await wish(["fd09::2"])()).spec.addresses, ["fd09::2"]);
  assert.deepEqual((await wish(["FD09::3", "9.0.0.254"])()).spec.addresses, ["9.0.0.254", "fd09::3"]);
  await refuses(lab, "address-taken", /"web\.eth0" on host "h1" has it/, wish(["9.0.0.7", "fd09::3"], {}, "db"));
  await lab.put("one", { ...v4("8.0.0.0/24", 24), vrf: "one" });
  await refuses(lab, "exhausted", /host "h2" has no block .*none left/, () =>
    lab.attach("one", "h2", "x", { addresses: ["8.0.0.2"] }),
  );
});
