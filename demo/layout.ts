// What the demonstration cluster consists of: names, addresses and paths. Every namespace that it makes starts with
// weft-demo-, so that leftovers can be counted. It makes nothing in the machine's own namespace.

export const PREFIX = "weft-demo-";
export const RUN_DIR = "/run/weft/demo";
/** Where the logs of a demonstration that did not start are kept. */
export const FAILED_DIR = "/run/weft/demo-failed";
/** Where the CLI looks if no server was named; see cli/input/locate.ts. */
export const CLI_FILE = "/run/weft/cli.json";

export const SERVER_PORT = 7474;
/** The namespace of the wire between the hosts, which is also the way out. */
export const LAN = { netns: `${PREFIX}lan`, bridge: "lan", ip: "172.31.77.1", ip6: "2001:db8:77::1" } as const;
/** Stands for any address outside the overlays (RFC 5737, documentation); answers at the other end of the wire. */
export const OUTSIDE = "198.51.100.7";
export const MTU = 1500;

export const HOSTS = [1, 2, 3].map((n) => ({
  name: `h${n}`,
  netns: `${PREFIX}h${n}`,
  ip: `172.31.77.${10 + n}`,
  ip6: `2001:db8:77::${10 + n}`,
  dir: `${RUN_DIR}/h${n}`,
  socket: `${RUN_DIR}/h${n}/agent.sock`,
}));
export type DemoHost = (typeof HOSTS)[number];

export const SERVER = {
  dir: `${RUN_DIR}/server`,
  socket: `${RUN_DIR}/server/server.sock`,
  url: `https://${LAN.ip}:${SERVER_PORT}`,
} as const;

export type Workload = ReturnType<typeof workloadsOf>[number];

/** One workload per host and network, named after the network's place in the list: web1 on h1 … and db1 on h1 … */
export function workloadsOf(networks: readonly string[]) {
  const names = ["web", "db", "job", "app"];
  return networks.flatMap((network, i) =>
    HOSTS.map((host, n) => {
      const name = `${names[i] ?? `net${i}-`}${n + 1}`;
      return { name, netns: PREFIX + name, host, network };
    }),
  );
}
