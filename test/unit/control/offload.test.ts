// Who writes the checksums of a network's packets: of which drivers that may be said, and what is written.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, openLab, refuses } from "./lab.ts";

test("what is said is written, the default is not, and drivers without a tunnel of Weft's refuse it", async () => {
  const lab = await openLab();
  const subnets = [{ cidr: "10.7.0.0/16" }];
  const offloadOf = async () => (await lab.control.find("network", "one", ADMIN))?.spec.offload;
  await lab.put("one", { subnets, offload: "off" });
  assert.equal(await offloadOf(), "off");
  await lab.put("one", { subnets, driver: "gre", offload: "on" });
  assert.equal(await offloadOf(), "on");
  await lab.put("one", { subnets, offload: "auto" });
  const network = await lab.control.find("network", "one", ADMIN);
  assert.ok(network !== undefined && !("offload" in network.spec));
  await lab.put("two", { subnets: [{ cidr: "10.8.0.0/16" }], driver: "bridge", offload: "auto" });
  for (const driver of ["bridge", "ovs"] as const)
    for (const offload of ["on", "off"] as const)
      await refuses(lab, ["request-invalid", "spec.offload"], /ethtool -K/, () =>
        lab.put("two", { subnets: [{ cidr: "10.8.0.0/16" }], driver, offload }),
      );
});

test("a reservation has that of its network", async () => {
  const lab = await openLab();
  await lab.put("one", { subnets: [{ cidr: "10.7.0.0/16" }] });
  await refuses(lab, ["request-invalid", "spec.offload"], /one/, () =>
    lab.put("piece", { reservedFrom: "one", offload: "off" }),
  );
});
