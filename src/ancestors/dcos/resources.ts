// Turns a DC/OS configuration into Weft's resources: one VRF for all overlays, because they share one VTEP and one VNI
// in DC/OS, and a routed network for each. Pure. Importing a changed file does live what DC/OS needs a reinstallation
// for: networks that the file no longer has are removed, others are changed, and a change that endpoints prevent is
// refused.
import { defined } from "../../model/defined.ts";
import type { ApplyItem, ApplyRequest } from "../../model/input.ts";
import type { Subnet } from "../../model/resource.ts";
import type { DcosConfig, DcosOverlay } from "./overlay.ts";
import { NETWORK_MTU } from "../../model/limits.ts";

/** The VRF of an imported configuration. */
const DCOS_VRF = "dcos";
/** Constant in DC/OS, for every overlay of every cluster. */
const DCOS_VNI = 1024;

/**
 * The VRF and the networks of the file. Makes the VRF also if the file switches overlays off, and removes its networks
 * that the file does not have: the result does not depend on earlier files. `tunnelPort`: UDP; by default the existing
 * port, or 4789 (RFC 7348). DC/OS itself uses 64000.
 */
export function applyOf(config: DcosConfig, tunnelPort?: number): ApplyRequest {
  const networks = config.overlayEnable ? config.overlays.map((overlay) => networkOf(config, overlay)) : [];
  return { resources: [vrfOf(config, tunnelPort), ...networks], pruneVrf: DCOS_VRF };
}

function vrfOf(config: DcosConfig, tunnelPort: number | undefined): ApplyItem {
  const { vtepSubnet, vtepSubnet6, vtepMacOui, vtepMtu, masters, agents, publicAgents } = config;
  const spec = defined({
    vni: DCOS_VNI,
    tunnelPort,
    vtepSubnets: vtepSubnet6 === undefined ? [vtepSubnet] : [vtepSubnet, vtepSubnet6],
    vtepMacOui: vtepMacOui.slice(0, 8).toLowerCase(),
    vtepName: `vtep${DCOS_VNI}`,
    hostAccess: true,
    dcos: defined({ vtepMacOui, vtepMtu, masters, agents: [...agents, ...publicAgents] }),
  });
  return { kind: "vrf", name: DCOS_VRF, spec };
}

function networkOf({ enableIpv6, overlayMtu }: DcosConfig, overlay: DcosOverlay): ApplyItem {
  // With IPv6 switched off, DC/OS disables overlays that have only IPv6, and gives containers of the others none.
  const without4 = overlay.subnet === undefined;
  const subnets = [
    ...subnetOf(overlay.subnet, overlay.prefix),
    ...(enableIpv6 || without4 ? subnetOf(overlay.subnet6, overlay.prefix6) : []),
  ];
  return {
    kind: "network",
    name: overlay.name,
    spec: {
      driver: "vxlan",
      ipam: "local",
      vrf: DCOS_VRF,
      subnets,
      ...(overlayMtu === undefined ? {} : { mtu: Math.max(overlayMtu, NETWORK_MTU.minimum) }),
      // In this order: Mesos has the lower half of each block, Docker the upper half.
      slices: [
        { name: "mesos", bridge: "m" },
        { name: "docker", bridge: "d" },
      ],
      masquerade: true,
      enabled: overlay.enabled && (enableIpv6 || !without4),
    },
  };
}

function subnetOf(cidr: string | undefined, hostPrefix: number | undefined): readonly Subnet[] {
  return cidr === undefined || hostPrefix === undefined ? [] : [{ cidr, hostPrefix }];
}
