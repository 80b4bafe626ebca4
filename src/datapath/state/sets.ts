// The sets and maps of a VRF's tables whose elements are objects of their own, with the fields of their keys. The
// compiler fills them, and src/kernel reads and writes them; nothing else in the tables grows.

/** The type of a field of a key, which gives its size: ifname 16, mac 8 (6 and padding), ip4 4, ip6 16. */
export type Field = "port" | "mac" | "ip4" | "ip6";
export type SetType = {
  /** In the words of nft. Raw expressions where one set answers for several fields of a packet. */
  readonly declared: string;
  readonly fields: readonly Field[];
  readonly isMap: boolean;
};

const FIXED: Readonly<Record<string, SetType>> = {
  /** What a port may do, as a mark; a port that is not here carries nothing. */
  ports: { declared: "type ifname : mark", fields: ["port"], isMap: true },
  /**
   * MACs of a port: of the frame, and of options in neighbour discovery. Of a tunnel that is in `floods`: those of the
   * endpoints behind it.
   */
  macs: { declared: "typeof iifname . @ll,48,48", fields: ["port", "mac"], isMap: false },
  /** Ports and tunnels that get frames to unknown MACs. */
  floods: { declared: "type ifname", fields: ["port"], isMap: false },
  /**
   * Addresses of a port with the MAC that belongs to each, for the source in IPv4 and ARP; the value is the port's mark
   * again, so that one lookup is enough for most packets.
   */
  bound4: {
    declared: "type ifname . ether_addr . ipv4_addr : mark",
    fields: ["port", "mac", "ip4"],
    isMap: true,
  },
  /** As source of IPv6, and as target in neighbour advertisements. */
  bound6: {
    declared: "typeof iifname . ether saddr . @nh,64,128 : meta mark",
    fields: ["port", "mac", "ip6"],
    isMap: true,
  },
};

const MEMBERS4: SetType = { declared: "type ipv4_addr", fields: ["ip4"], isMap: false };
const MEMBERS6: SetType = { declared: "type ipv6_addr", fields: ["ip6"], isMap: false };

/** Undefined for a set whose elements, if any, are part of the table's text. */
export function setOf(name: string): SetType | undefined {
  if (name.startsWith("members4_")) return MEMBERS4;
  if (name.startsWith("members6_")) return MEMBERS6;
  return FIXED[name];
}

/** The line that declares a set in its table. */
export function declared(name: string): string {
  const type = setOf(name);
  if (type === undefined) throw new Error(`there is no set ${name}`);
  return `${type.isMap ? "map" : "set"} ${name} { ${type.declared}; }\n`;
}
