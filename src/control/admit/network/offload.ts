// Who writes the checksums of a network's packets: what may be said of it.
import { type Driver, DRIVERS, TUNNEL_DRIVERS } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { Offload } from "../../../model/offload.ts";

/** As it is written: the default is not. */
export function offloadOf(offload: Offload | undefined, driver: Driver): Offload | undefined {
  if (offload === undefined || offload === "auto") return undefined;
  if (TUNNEL_DRIVERS.some((one) => one === driver)) return offload;
  throw new Fault("request-invalid", {
    what: `offload "${offload}" is not for networks with driver ${driver}`,
    where: "spec.offload",
    why:
      driver === "ovs"
        ? `the tunnels are those of ${DRIVERS.ovs.title}`
        : "their frames cross on a device of the host, and Weft leaves its settings alone",
    fix: "leave it out, and set the device with ethtool -K",
  });
}
