// A setting of a namespace's network stack.
import { type Ns, type Shell, defineKind, standsOn } from "./kind.ts";
import { netns } from "./netns.ts";

export type Sysctl = {
  readonly kind: "sysctl";
  readonly ns: Ns;
  /** Below /proc/sys/net, like `ipv4/ip_forward`. */
  readonly key: string;
  readonly value: string;
};

const write = ({ ns, key, value }: Sysctl, shell: Shell) => [
  `${shell.inside(ns)}sysctl -w net.${key.replaceAll("/", ".")}=${value}`,
];

export const sysctl = defineKind<Sysctl>({
  role: "alone",
  layer: 1,
  // The kernel has no absent sysctl. Others may rely on the value by now, so it stays as it is.
  isRemovable: false,
  key: ({ ns, key }) => `sysctl ${ns} ${key}`,
  print: {
    add: write,
    set: (_, to, shell) => write(to, shell),
    remove: ({ ns, key }, shell) => [`# ${shell.inside(ns)}sysctl net.${key.replaceAll("/", ".")} stays as it is`],
  },
  examples: [
    {
      needs: standsOn(netns),
      is: { kind: "sysctl", ns: "vrf:blue", key: "ipv4/ip_forward", value: "1" },
      becomes: { kind: "sysctl", ns: "vrf:blue", key: "ipv4/ip_forward", value: "0" },
    },
    { needs: [], is: { kind: "sysctl", ns: "host", key: "ipv6/conf/all/forwarding", value: "1" } },
  ],
});
