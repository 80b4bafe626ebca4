// What the API calls each kind of resource: in paths, in schemas, and to a person who asks for one that is not there.
import type { Reason } from "../model/fault.ts";
import type { Kind } from "../model/resource.ts";
import type { SchemaName } from "./schemas.ts";

type Named = {
  readonly kind: Kind;
  /** In paths; default: the kind and an s. */
  readonly plural?: string;
  readonly item: SchemaName;
  readonly page: SchemaName;
  readonly unknown: Reason;
  /** To people; default: the kind. */
  readonly called?: string;
  /** The command that lists what there is. */
  readonly see: string;
};

export const KINDS: readonly Named[] = [
  { kind: "vrf", called: "VRF", item: "Vrf", page: "VrfPage", unknown: "vrf-unknown", see: "vrf list" },
  { kind: "network", item: "Network", page: "NetworkPage", unknown: "network-unknown", see: "network list" },
  { kind: "host", item: "Host", page: "HostPage", unknown: "host-unknown", see: "host list" },
  { kind: "block", item: "Block", page: "BlockPage", unknown: "not-found", see: "network show NETWORK" },
  { kind: "vtep", item: "Vtep", page: "VtepPage", unknown: "not-found", see: "network show NETWORK" },
  { kind: "endpoint", item: "Endpoint", page: "EndpointPage", unknown: "endpoint-unknown", see: "endpoint list" },
  { kind: "pool", item: "Pool", page: "PoolPage", unknown: "pool-unknown", see: "pool list" },
  {
    kind: "membership",
    item: "Membership",
    page: "MembershipPage",
    unknown: "membership-unknown",
    see: "network members NETWORK",
  },
  {
    kind: "migration",
    item: "Migration",
    page: "MigrationPage",
    unknown: "migration-unknown",
    see: "network migration list",
  },
  { kind: "move", item: "Move", page: "MovePage", unknown: "not-found", see: "network migration show NAME" },
  { kind: "hold", item: "Hold", page: "HoldPage", unknown: "hold-unknown", see: "lease list --state held" },
  {
    kind: "freed",
    plural: "freed",
    called: "freed lease",
    item: "Freed",
    page: "FreedPage",
    unknown: "not-found",
    see: "lease list --state quarantined",
  },
  { kind: "cursor", item: "Cursor", page: "CursorPage", unknown: "not-found", see: "network show NETWORK" },
  {
    kind: "securitygroup",
    called: "security group",
    item: "SecurityGroup",
    page: "SecurityGroupPage",
    unknown: "group-unknown",
    see: "sg list",
  },
];
