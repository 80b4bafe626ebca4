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
    "address-outside",
    /10.8.0.1 is outside network "blue".*choose from 10.7.0.0\/29 or fd00:7::\/64/,
    wish({ addresses: ["10.8.0.1"] }),
    "addresses[0]",
  );
  await refuses(lab, "address-invalid", /is not an IP address/, wish({ addresses: ["10.7.0.300"] }));
  await refuses(lab, "request-invalid", /has no slice "r"/, wish({ slice: "r" }), "slice");
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
  await refuses(lab, "name-taken", /being detached/, () => lab.attach("blue", "h1", "web", { netns: "/other" }));
  await detach("web.eth0", by("h1"))();
  assert.deepEqual((await lab.snapshot()).endpoints, []);
});
