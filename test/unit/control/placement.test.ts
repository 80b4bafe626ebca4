// Networks in the hosts' own namespace: all in one VRF, which has no others; and hosts that have a network without an
// endpoint of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkInput, VrfInput } from "../../../src/model/input.ts";
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
  await refuses(lab, "in-use", /the placement of network "moves" cannot change/, () =>
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
