// A device for shaping what an endpoint sends: it queues frames that a redirect gives it, and hands them back to where
// they came in.
import { defineKind, standsOn } from "./kind.ts";
import { type Link, bringUp, commonFields, devicesOf, removeLink, setFields } from "./link.ts";
import { netns } from "./netns.ts";

/** Its MAC cannot be changed. */
export type Ifb = Link & { readonly kind: "ifb" };

const EXAMPLE: Ifb = {
  kind: "ifb",
  ns: "vrf:blue",
  name: "wq1",
  mtu: 1450,
  mac: "fe:00:0a:07:01:05",
  alias: "weft:shaper:web.eth0",
};

export const ifb = defineKind<Ifb>({
  role: "link",
  // Limits before addresses, and a shaper's queue before anything is sent to it.
  layer: 5.2,
  key: ({ ns, name }) => `ifb ${ns} ${name}`,
  devices: devicesOf,
  print: {
    add: (o, shell) => [
      `${shell.ip(o.ns)} link add ${o.name} address ${o.mac} mtu ${o.mtu} type ifb`,
      bringUp(o, shell),
    ],
    set: (from, to, shell) => setFields(`${shell.ip(to.ns)} link set ${to.name}`, commonFields(from), commonFields(to)),
    remove: removeLink,
  },
  examples: [{ needs: standsOn(netns), is: EXAMPLE, becomes: { ...EXAMPLE, mtu: 1300, alias: "weft:shaper:other" } }],
});
