// A bridge: the segment of a network on this host.
import { defineKind, standsOn } from "./kind.ts";
import { type Field, type Link, bringUp, commonFields, devicesOf, removeLink, setFields } from "./link.ts";
import { netns } from "./netns.ts";

export type Bridge = Link & {
  readonly kind: "bridge";
  /**
   * Learned MACs are forgotten after five silent minutes. Otherwise they stay until a frame says something else: only a
   * few can be learned, and frames to a forgotten one would not be flooded.
   */
  readonly forgets?: true;
};

/** For how many seconds a bridge remembers what it learned: as usual, or ten days, which fit any counter of jiffies. */
export const AGEING = { forgets: 300, keeps: 864_000 } as const;
/** What one bridge learns at most, 256 times what one port may teach it: each entry is 128 bytes of the kernel's. */
export const FDB_MAX = 65_536;

const EXAMPLE: Bridge = {
  kind: "bridge",
  ns: "vrf:blue",
  name: "wb7",
  mtu: 1450,
  mac: "02:00:0a:07:00:01",
  alias: "weft:network:lan",
};

/** In hundredths of a second, as `ip` takes it. */
function ageing({ forgets }: Bridge): number {
  return 100 * (forgets === true ? AGEING.forgets : AGEING.keeps);
}

function fieldsOf(o: Bridge): readonly Field[] {
  return [...commonFields(o), ["type bridge ageing_time", String(ageing(o))]];
}

export const bridge = defineKind<Bridge>({
  role: "link",
  layer: 3,
  key: ({ ns, name }) => `bridge ${ns} ${name}`,
  devices: devicesOf,
  print: {
    add: (o, shell) => [
      `${shell.ip(o.ns)} link add ${o.name} address ${o.mac} type bridge` +
        ` ageing_time ${ageing(o)} mcast_snooping 0 no_linklocal_learn 1 fdb_max_learned ${FDB_MAX}`,
      // Only an MTU that was changed stays when ports come and go.
      bringUp(o, shell, `mtu ${o.mtu} `),
    ],
    set: (from, to, shell) => setFields(`${shell.ip(to.ns)} link set ${to.name}`, fieldsOf(from), fieldsOf(to)),
    remove: removeLink,
  },
  examples: [
    {
      needs: standsOn(netns),
      is: EXAMPLE,
      becomes: { ...EXAMPLE, mtu: 1400, mac: "02:00:00:00:00:02", alias: "weft:network:other", forgets: true },
    },
    { needs: [], is: { ...EXAMPLE, ns: "host", forgets: true } },
  ],
});
