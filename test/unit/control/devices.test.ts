// Names that end in one device on hosts: the second is refused, whatever it is a name of.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceName } from "../../../src/model/device.ts";
import { openLab, refuses, v4 } from "./lab.ts";

/** Two names of people's that are one device with this prefix: a matter of seconds, as for whoever looks for them. */
function twins(prefix: string): readonly [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const name = `a-network-of-mine-${i.toString(36)}`;
    const device = deviceName(prefix, name);
    const other = seen.get(device);
    if (other !== undefined) return [other, name];
    seen.set(device, name);
  }
}

test("two networks of a VRF never have one bridge; of two VRFs they may", async () => {
  const lab = await openLab();
  const [a, b] = twins("wb");
  assert.equal(deviceName("wb", a), deviceName("wb", b));
  await lab.put(a, { ...v4("10.1.0.0/16"), vrf: "one" });
  for (const spec of [v4("10.2.0.0/16"), v4("10.2.0.0/16", 24)])
    await refuses(lab, "name-taken", new RegExp(`${b}.*device.*${a}`), () => lab.put(b, { ...spec, vrf: "one" }));
  await lab.put(b, { ...v4("10.2.0.0/16"), vrf: "two" });
  // Nor by moving into it.
  await refuses(lab, "name-taken", /device/, () => lab.put(b, { ...v4("10.2.0.0/16"), vrf: "one" }));
  await lab.control.write({ verb: "delete", kind: "network", name: a });
  await lab.put(b, { ...v4("10.2.0.0/16"), vrf: "one" });
});

test("nor do slices have others' bridges, or a device that is Weft's own", async () => {
  const lab = await openLab();
  const sliced = (cidr: string, bridge: string) => ({ ...v4(cidr, 24), vrf: "one", slices: [{ name: "s", bridge }] });
  await lab.put("b-c", sliced("10.1.0.0/16", "a"));
  await refuses(lab, "name-taken", /device a-b-c/, () => lab.put("c", sliced("10.2.0.0/16", "a-b")));
  await refuses(lab, "name-taken", /device wp-c.*Weft itself/, () => lab.put("c", sliced("10.2.0.0/16", "wp")));
  await refuses(lab, "name-taken", /device wq2-c.*Weft itself/, () => lab.put("c", sliced("10.2.0.0/16", "wq2")));
  // As the devices to peers are called.
  await refuses(lab, "name-taken", /device gt7-c.*Weft itself/, () => lab.put("c", sliced("10.2.0.0/16", "gt7")));
  await lab.put("c", sliced("10.2.0.0/16", "b"));
});

test("two VRFs never have one uplink, and a tunnel has a name of its own", async () => {
  const lab = await openLab();
  const [a, b] = twins("wu");
  await lab.put("x", { ...v4("10.1.0.0/16"), vrf: a });
  await refuses(lab, "name-taken", new RegExp(`${b}.*device.*${a}`), () =>
    lab.put("y", { ...v4("10.2.0.0/16"), vrf: b }),
  );
  const put = (spec: object) => () => lab.control.write({ verb: "put", kind: "vrf", name: b, spec });
  await refuses(lab, "name-taken", /device/, put({}));
  const other = (vtepName: string) => () =>
    lab.control.write({ verb: "put", kind: "vrf", name: "other", spec: { vtepName } });
  for (const name of ["uplink", "lo", "wp0", "gt7-1"]) await refuses(lab, "name-taken", /Weft itself/, other(name));
  await lab.control.write({ verb: "put", kind: "vrf", name: "other", spec: { vtepName: "wb-front" } });
  await refuses(lab, "name-taken", /wb-front.*tunnel of VRF/, () =>
    lab.put("front", { ...v4("10.5.0.0/16"), vrf: "other" }),
  );
  // Nor does a tunnel that is renamed get a network's.
  await lab.put("back", { ...v4("10.5.0.0/16"), vrf: "other" });
  await refuses(lab, "name-taken", /wb-back.*network "back"/, other("wb-back"));
  await other("wb-front")();
  await other("vtep9")();
  const long = "v".repeat(201);
  await refuses(lab, "name-invalid", /too long/, () =>
    lab.control.write({ verb: "put", kind: "vrf", name: long, spec: {} }),
  );
});
