// A neighbour on a link of the host's own: the next hop towards a peer or the server.
import { defineKind } from "./kind.ts";
import { WEFT_PROTOCOL } from "./mark.ts";
import { veth } from "./veth.ts";

/**
 * The kernel finds its MAC and keeps it, also when its table is full (`extern_learn`, `managed`); with our protocol
 * number, because the link is not ours.
 */
export type Hop = { readonly kind: "hop"; readonly ns: "host"; readonly dev: string; readonly ip: string };

/** The end of an uplink that the host has. */
const [, { needs, is: uplink } = veth.examples[0]] = veth.examples;

export const hop = defineKind<Hop>({
  role: "entry",
  layer: 7,
  key: ({ dev, ip }) => `hop ${dev} ${ip}`,
  print: {
    add: ({ ns, dev, ip }, shell) => [
      `${shell.ip(ns)} neigh add ${ip} dev ${dev} managed extern_learn protocol ${WEFT_PROTOCOL}`,
    ],
    set: () => [],
    remove: ({ ns, dev, ip }, shell) => [`${shell.ip(ns)} neigh delete ${ip} dev ${dev}`],
  },
  examples: [{ needs: [...needs, uplink], is: { kind: "hop", ns: "host", dev: uplink.peer.name, ip: "169.254.64.9" } }],
});
