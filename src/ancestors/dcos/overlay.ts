// What Weft reads of a DC/OS configuration, as a value: its virtual networks, and the hosts that are on them.

export type DcosOverlay = {
  readonly name: string;
  readonly subnet?: string;
  readonly prefix?: number;
  readonly subnet6?: string;
  readonly prefix6?: number;
  readonly enabled: boolean;
};

/** Networks in canonical text; everything else as the file has it, with the installer's defaults. */
export type DcosConfig = {
  readonly clusterName?: string;
  readonly overlayEnable: boolean;
  readonly overlayMtu?: number;
  readonly enableIpv6: boolean;
  readonly vtepSubnet: string;
  readonly vtepSubnet6?: string;
  readonly vtepMacOui: string;
  readonly vtepMtu?: number;
  readonly overlays: readonly DcosOverlay[];
  readonly defaultNetwork?: string;
  /** Only compared with the overlays; Weft does not use Calico. */
  readonly calicoCidr?: string;
  readonly agents: readonly string[];
  readonly publicAgents: readonly string[];
  readonly masters: readonly string[];
  /** What a user should know about the file, each with its position; none of it is an error. */
  readonly notes: readonly string[];
};
