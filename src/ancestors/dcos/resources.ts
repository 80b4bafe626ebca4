// A DC/OS configuration in Weft's own words: one VRF that all overlays share, as they share one VTEP and one VNI there,
// and a routed network for each. Pure. Importing a changed file is the live form of what DC/OS asks a reinstallation
// for: what the file no longer says goes, what it says otherwise is changed, and what endpoints need stays (refused).
import { macOf } from "../../model/address.ts";
import type { ApplyItem, ApplyRequest } from "../../model/input.ts";
import type { Subnet } from "../../model/resource.ts";
import type { DcosConfig, DcosOverlay } from "./overlay.ts";
import { LEAST_MTU } from "./rules.ts";

/** The VRF of an imported configuration. */
const DCOS_VRF = "dcos";
/** Constant in DC/OS, for every overlay of every cluster. */
const DCOS_VNI = 1024;

type VrfItem = Extract<ApplyItem, { readonly kind: "vrf" }>;
type NetworkItem = Extract<ApplyItem, { readonly kind: "network" }> & {
  readonly spec: { readonly subnets: readonly Subnet[] };
};

export type ResourceOptions = {
  /** UDP; by default what is there, or 4789 (RFC 7348). DC/OS itself uses 64000. */
  readonly tunnelPort?: number;
};

/** The VRF and the networks that the file asks for: none if it switches overlays off. */
export function resourcesOf(
  config: DcosConfig,
  options: ResourceOptions = {},
): { readonly vrf: VrfItem; readonly networks: readonly NetworkItem[] } {
  return {
    vrf: vrfOf(config, options.tunnelPort),
    networks: config.overlayEnable ? config.overlays.map((overlay) => networkOf(config, overlay)) : [],
  };
}

/**
 * Makes the VRF what the file says, also one that switches overlays off, and removes its networks that the file does
 * not have: what is there afterwards does not depend on the files before.
 */
export function applyOf(config: DcosConfig, options: ResourceOptions = {}): ApplyRequest {
  const { vrf, networks } = resourcesOf(config, options);
  return { resources: [vrf, ...networks], pruneVrf: DCOS_VRF };
}

function vrfOf(config: DcosConfig, tunnelPort: number | undefined): VrfItem {
  const { vtepSubnet, vtepSubnet6, vtepMacOui, vtepMtu } = config;
  return {
    kind: "vrf",
    name: DCOS_VRF,
    spec: {
      vni: DCOS_VNI,
      ...(tunnelPort === undefined ? {} : { tunnelPort }),
      vtepSubnets: vtepSubnet6 === undefined ? [vtepSubnet] : [vtepSubnet, vtepSubnet6],
      vtepMacOui: (macOf(vtepMacOui) ?? "").slice(0, 8),
      vtepName: `vtep${DCOS_VNI}`,
      hostAccess: true,
      dcos: {
        vtepMacOui,
        ...(vtepMtu === undefined ? {} : { vtepMtu }),
        masters: config.masters,
        agents: [...config.agents, ...config.publicAgents],
      },
    },
  };
}

function networkOf({ enableIpv6, overlayMtu }: DcosConfig, overlay: DcosOverlay): NetworkItem {
  // With IPv6 switched off, DC/OS disables overlays that have nothing else, and gives containers of the others none.
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
      ...(overlayMtu === undefined ? {} : { mtu: Math.max(overlayMtu, LEAST_MTU) }),
      // In this order: Mesos has the lower half of each block, Docker the upper one.
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
