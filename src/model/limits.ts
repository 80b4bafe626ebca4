// Numbers that schemas, admission, the compiler and the CLI share.

/** The last VNI of 24 bits (RFC 7348). Path probes have it; networks and VRFs have those before it. */
export const VNI_LAST = 16_777_215;
/** UDP port of tunnels by default (RFC 7348). */
export const TUNNEL_PORT = 4789;
/** MTUs that a network may have. */
export const NETWORK_MTU = { minimum: 576, maximum: 65_450 } as const;
/** Address ranges of one network, and tenants that it has quotas for; networks of which an owner has a quota. */
export const RANGES_MAX = 1024;
export const QUOTAS_MAX = 1024;
/** Least MTU of a link that carries IPv6 (RFC 8200, section 5). */
export const IPV6_MTU_MIN = 1280;
