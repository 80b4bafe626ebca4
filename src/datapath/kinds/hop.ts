// A neighbour on a link of the host's own: the next hop towards a peer or the server.
import { bridge } from "./bridge.ts";
import { defineKind } from "./kind.ts";
import { WEFT_PROTOCOL } from "./mark.ts";

/**
 * The kernel finds its MAC and keeps it, also when its table is full (`extern_learn`, `managed`); with our protocol
 * number, because the link is not ours.
 */
export type Hop = { readonly kind: "hop"; readonly ns: "host"; readonly dev: string; readonly ip: string };

const [, { is: onHost } = bridge.examples[0]] = bridge.examples;

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
  examples: [{ needs: [onHost], is: { kind: "hop", ns: "host", dev: onHost.name, ip: "10.7.0.9" } }],
});
