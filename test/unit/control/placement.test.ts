// Networks in the hosts' own namespace: all in one VRF, which has no others; and hosts that have a network without an
// endpoint of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput, VrfInput } from "../../../src/model/input.ts";
import { allHostAddresses } from "../../../src/model/carrying.ts";
import type { Resource } from "../../../src/model/resource.ts";
import { ADMIN, type Lab, Reader, openLab, refuses, sorted, v4, vrfNames } from "./lab.ts";

const here = (cidr: string, more: Partial<NetworkInput> = {}): NetworkInput => ({
  subnets: [{ cidr }],
  placement: "host",
  ...more,
});
const putVrf = (lab: Lab, name: string, spec: VrfInput) => () =>
  lab.control.write({ verb: "put", kind: "vrf", name, spec });
const specOf = async (lab: Lab, name: string) => (await lab.control.find("network", name, ADMIN))?.spec;
const vrfSpec = async (lab: Lab, name: string) => (await lab.control.find("vrf", name, ADMIN))?.spec;

test("networks in the hosts' own namespace share the one VRF there, which comes and goes with them", async () => {
  const lab = await openLab();
  await lab.put("one", here("10.7.0.0/16"));
  await lab.put("two", here("10.8.0.0/16"));
  await lab.put("three", v4("10.7.0.0/16"));
  assert.deepEqual(await vrfNames(lab), ["host", "three"]);
  const { placement, vtepSubnets, kept } = (await vrfSpec(lab, "host")) ?? {};
  assert.deepEqual([placement, vtepSubnets, kept], ["host", [], false]);
  assert.deepEqual([(await specOf(lab, "two"))?.vrf, (await specOf(lab, "two"))?.placement], ["host", "host"]);
  const own = await specOf(lab, "three");
  assert.ok(own !== undefined && !("placement" in own), "a default is not written");
  // What a list says can be put again, and what is left out stays as it is.
  const again = await specOf(lab, "two");
  const listed = await vrfSpec(lab, "host");
  assert.ok(again !== undefined && listed !== undefined);
  await putVrf(lab, "host", listed)();
  await lab.put("two", again);
  await lab.put("two", { subnets: [{ cidr: "10.8.0.0/16" }], description: "x" });
  assert.equal((await specOf(lab, "two"))?.placement, "host");
  for (const name of ["one", "two"]) await lab.control.write({ verb: "delete", kind: "network", name });
  assert.deepEqual(await vrfNames(lab), ["three"]);
});

test("the VRF in the hosts' own namespace may have another name, and there is one", async () => {
  const lab = await openLab();
  await refuses(lab, "name-reserved", /cannot be the name of a vrf/, putVrf(lab, "host", {}));
  await putVrf(lab, "metal", { placement: "host" })();
  await lab.put("one", here("10.7.0.0/16"));
  await lab.put("two", { subnets: [{ cidr: "10.8.0.0/16" }], vrf: "metal" });
  assert.deepEqual([(await specOf(lab, "one"))?.vrf, (await specOf(lab, "two"))?.placement], ["metal", "host"]);
  await refuses(
    lab,
    ["name-taken", "spec.placement"],
    /VRF "metal" is the one/,
    putVrf(lab, "other", { placement: "host" }),
  );
  const elsewhere = () => lab.put("x", here("10.9.0.0/16", { vrf: "blue" }));
  await refuses(lab, ["request-invalid", "spec.vrf"], /VRF "blue" is not.*"metal"/s, elsewhere);
  const own = () => lab.put("x", { ...v4("10.9.0.0/16"), vrf: "metal", placement: "own" });
  await refuses(lab, ["request-invalid", "spec.vrf"], /has a namespace of its own, and VRF "metal" has none/, own);
  await refuses(lab, ["request-invalid", "spec.vrf"], /namespace of its own/, () =>
    lab.put("metal", v4("10.9.0.0/16")),
  );
});

test("refused: blocks there, a VRF that has networks already, a placement that changes under endpoints", async () => {
  const lab = await openLab();
  await lab.join(1);
  const local = () =>
    lab.put("x", here("10.7.0.0/16", { ipam: "local", subnets: [{ cidr: "10.7.0.0/16", hostPrefix: 24 }] }));
  await refuses(lab, ["request-invalid", "spec.placement"], /cannot be local in the hosts' own namespace/, local);
  await lab.put("blue", v4("10.9.0.0/16"));
  await refuses(lab, "in-use", /has networks/, putVrf(lab, "blue", { placement: "host" }));
  const into = () => lab.put("x", here("10.7.0.0/16", { vrf: "blue" }));
  await refuses(lab, ["request-invalid", "spec.vrf"], /make the VRF first/, into);
  await lab.put("moves", v4("10.7.0.0/16"));
  await lab.put("moves", here("10.7.0.0/16"));
  await lab.attach("moves", "h1", "web");
  await refuses(lab, "in-use", /`placement` of network "moves" cannot change/, () =>
    lab.put("moves", { ...v4("10.7.0.0/16"), placement: "own" }),
  );
});

test("networks that hosts reach by their own routes do not overlap", async () => {
  const lab = await openLab();
  await putVrf(lab, "open", { hostAccess: true })();
  await lab.put("reached", { ...v4("10.7.0.0/16"), vrf: "open" });
  await refuses(lab, "overlap", /network "reached"/, () => lab.put("x", here("10.7.1.0/24")));
  await lab.put("there", here("10.8.0.0/16"));
  await refuses(lab, "overlap", /network "there"/, () => lab.put("x", { ...v4("10.8.1.0/24"), vrf: "open" }));
  await refuses(lab, "overlap", /network "there"/, () => lab.put("x", here("10.8.1.0/24")));
  await lab.put("x", v4("10.8.1.0/24"));
});

test("a host that a network names carries it without endpoints, and hears of the others'", async () => {
  const lab = await openLab();
  await lab.join(1);
  await lab.join(2);
  const reader = await Reader.open(lab.control, { role: "host", host: "h2" });
  await lab.put("blue", v4("10.7.0.0/16"));
  await lab.attach("blue", "h1", "web");
  const seen = async () => {
    await reader.readTo((await lab.snapshot()).revision);
    const { all } = reader.state as { all: ReadonlyMap<string, Resource> };
    assert.deepEqual(reader.state, sorted(await lab.snapshot({ role: "host", host: "h2" })));
    return [...all.keys()].filter((key) => key.startsWith("endpoint/"));
  };
  assert.deepEqual(await seen(), []);
  await lab.put("blue", { ...v4("10.7.0.0/16"), hosts: ["h2"] });
  assert.deepEqual(await seen(), ["endpoint/web.eth0"]);
  await lab.put("blue", { ...v4("10.7.0.0/16"), hosts: ["h1"] });
  assert.deepEqual(await seen(), []);
  await lab.put("blue", { ...v4("10.7.0.0/16"), hosts: ["h1", "*"] });
  assert.deepEqual(await seen(), ["endpoint/web.eth0"]);
  assert.deepEqual((await specOf(lab, "blue"))?.hosts, ["*"]);
  await refuses(lab, ["host-unknown", "spec.hosts"], /there is no host "h9"/, () =>
    lab.put("blue", { ...v4("10.7.0.0/16"), hosts: ["h9"] }),
  );
  await lab.control.write({ verb: "delete", kind: "network", name: "blue", force: true });
  assert.deepEqual(await seen(), []);
  await reader.close();
});

test("hosts' own addresses are given, or allocated one per host and subnet; endpoints get none of them", async () => {
  const lab = await openLab();
  for (const n of [1, 2]) await lab.join(n);
  const addresses = async (name: string) =>
    allHostAddresses((await specOf(lab, name)) ?? {}).map(({ host, address }) => `${host} ${address}`);
  const held = async () => (await lab.snapshot()).holds.map(({ spec }) => `${spec.owner} ${spec.first}`).sort();
  const subnets = [{ cidr: "10.7.0.0/24" }, { cidr: "fd07::/64" }];
  await lab.put("automatic", { subnets, placement: "host", hostAddresses: "auto" });
  const both = ["h1 10.7.0.1/24", "h1 fd07::1/64", "h2 10.7.0.2/24", "h2 fd07::2/64"];
  assert.deepEqual(await addresses("automatic"), both);
  const spec = await specOf(lab, "automatic");
  assert.deepEqual([spec?.hosts, spec?.subnets.map(({ gateway }) => gateway)], [["*"], ["none", "none"]]);
  assert.deepEqual(await held(), ["h1 10.7.0.1", "h1 fd07::1", "h2 10.7.0.2", "h2 fd07::2"]);
  assert.deepEqual((await lab.attach("automatic", "h1", "web")).spec.addresses, ["10.7.0.3", "fd07::3"]);
  // A host that joins gets its own, one that goes gives it back; a put keeps what there is.
  await lab.join(3);
  assert.deepEqual(await addresses("automatic"), [...both, "h3 10.7.0.4/24", "h3 fd07::4/64"]);
  await lab.control.write({ verb: "delete", kind: "host", name: "h2" });
  await lab.put("automatic", { subnets, placement: "host", hostAddresses: "auto", hosts: ["h3"] });
  assert.deepEqual(await addresses("automatic"), ["h3 10.7.0.4/24", "h3 fd07::4/64"]);
  assert.deepEqual(await held(), ["h3 10.7.0.4", "h3 fd07::4"]);
  const span = { network: "automatic", first: "10.7.0.4" };
  await refuses(lab, "in-use", /is the address of host "h3"/, () => lab.control.write({ verb: "release", span }));
  const hostMac = { mac: "0a:5b:0a:07:00:04" };
  await refuses(lab, "address-taken", /host "h3"/, () => lab.attach("automatic", "h1", "thief", hostMac));
  const given = (address: string, more: Partial<NetworkInput> = {}): NetworkInput => ({
    subnets: [{ cidr: "10.9.0.0/24" }],
    placement: "host",
    hostAddresses: [{ host: "h1", address }],
    ...more,
  });
  await lab.put("given", given("10.9.0.9"));
  assert.deepEqual(await addresses("given"), ["h1 10.9.0.9/24"]);
  await refuses(lab, "address-held", /10.9.0.9/, () => lab.attach("given", "h3", "x", { addresses: ["10.9.0.9"] }));
  await lab.attach("given", "h3", "x", { addresses: ["10.9.0.10"] });
  await refuses(lab, ["address-taken", "spec.hostAddresses"], /endpoint "x.eth0"/, () =>
    lab.put("given", given("10.9.0.10")),
  );
  assert.deepEqual(await held(), ["h1 10.9.0.9", "h3 10.7.0.4", "h3 fd07::4"]);
  for (const [address, more, expected, text] of [
    ["10.9.1.9", {}, "address-outside", /not an address of the network/],
    ["10.9.0.9/16", {}, "address-outside", /length of its prefix/],
    ["10.9.0.9/24/24", {}, "address-outside", /length of its prefix/],
    ["10.9.0.9", { placement: "own", vrf: "v" }, "request-invalid", /no address of their own/],
    ["10.9.0.9", { subnets: [{ cidr: "10.9.0.0/24", gateway: "10.9.0.1" }] }, "request-invalid", /beside the gateway/],
    ["10.9.0.9", { hostAddresses: [{ host: "h9", address: "10.9.0.9" }] }, "host-unknown", /h9/],
    ["10.9.0.9", { bridge: "wb-x" }, "name-invalid", /cannot be the name/],
    ["10.9.0.9", { bridge: "no/name" }, "name-invalid", /cannot be the name/],
    ...["wv-other", "wo4096", "wop-lan", "wt7", "all", "default"].map(
      (bridge) => ["10.9.0.9", { bridge }, "name-invalid", /by themselves/] as const,
    ),
  ] as const)
    await refuses(lab, expected, text, () => lab.put("other", given(address, more)));
  // MACs of hosts follow from the last 32 bits of their addresses.
  const six = { subnets: [{ cidr: "fd09::/64", gateway: "none" }] };
  const [one, alike] = ["fd09::1:0:1/64", "fd09::2:0:1/64"].map((address, i) => ({ host: `h${1 + 2 * i}`, address }));
  await refuses(
    lab,
    ["address-taken", "spec.hostAddresses"],
    /"h3" would have MAC 0a:5b:00:00:00:01 there, as host "h1"/,
    () => lab.put("six", given("", { ...six, hostAddresses: [one ?? assert.fail(), alike ?? assert.fail()] })),
  );
  await lab.put("six", { ...six, placement: "host", hosts: ["h1"] });
  await lab.attach("six", "h1", "y", { mac: "0a:5b:00:00:00:01" });
  await refuses(lab, ["address-taken", "spec.hostAddresses"], /as endpoint "y.eth0" has/, () =>
    lab.put("six", given("fd09::1:0:1", six)),
  );
  await lab.put("other", { ...here("10.10.0.0/24"), bridge: "br-mgmt" });
  await refuses(lab, "name-taken", /br-mgmt/, () => lab.put("third", { ...here("10.11.0.0/24"), bridge: "br-mgmt" }));
  await refuses(lab, "request-invalid", /no given bridge/, () =>
    lab.put("third", { ...v4("10.11.0.0/24"), bridge: "br" }),
  );
});

test("what hosts have already: a device with a name, and permission to take over; where that can be", async () => {
  const lab = await openLab();
  await lab.join(1);
  const wish = { bridge: "br-mgmt", device: "encap-mgmt", takeOver: true, forwardDelay: 0 } as const;
  await lab.put("mgmt", here("10.7.0.0/16", wish));
  const { bridge, device, takeOver, forwardDelay } = (await specOf(lab, "mgmt")) ?? {};
  assert.deepEqual({ bridge, device, takeOver, forwardDelay }, wish);
  await lab.put("mgmt", here("10.7.0.0/16", { ...wish, takeOver: false }));
  assert.equal((await specOf(lab, "mgmt"))?.takeOver, undefined, "a default is not written");
  const refused = (field: string, what: RegExp, spec: Partial<NetworkInput>) =>
    refuses(lab, ["request-invalid", `spec.${field}`], what, () => lab.put("x", here("10.9.0.0/16", spec)));
  await refused("device", /driver gre has no given name.*one for each peer/s, { driver: "gre", device: "a" });
  await refused("device", /driver bridge.*its physical network/s, { driver: "bridge", device: "a" });
  await refused("takeOver", /driver ovs cannot be taken over.*Open vSwitch makes it/s, {
    driver: "ovs",
    takeOver: true,
  });
  await refused("takeOver", /namespace of its own/, { placement: "own", takeOver: true });
  await refused("device", /namespace of its own has no given device/, { placement: "own", device: "a" });
  await refused("forwardDelay", /1 s is too short.*802\.1D/s, { stp: true, forwardDelay: 1 });
  for (const name of ["wx7", "no name", "lo"])
    await refuses(lab, ["name-invalid", "spec.device"], /cannot be the name of a device/, () =>
      lab.put("x", here("10.9.0.0/16", { device: name })),
    );
  await refuses(lab, "name-taken", /encap-mgmt, which is that of network "mgmt"/, () =>
    lab.put("x", here("10.9.0.0/16", { device: "encap-mgmt" })),
  );
});
