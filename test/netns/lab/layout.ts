// Names in a test's cluster: namespaces, addresses, files and sockets, unique to the test process.
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const SERVER_IP = "172.31.77.1";

let counter = 0;

export class Layout {
  /** Of the hosts' underlay addresses; the server is reached by IPv4. */
  readonly family: 4 | 6;
  readonly id = `wt${process.pid.toString(36)}${counter++}`;
  readonly folder = mkdtempSync(join(tmpdir(), "weft-netns-"));
  /** Hosts whose agents look for their underlay address themselves. */
  readonly floating = new Set<string>();

  /** Further flags of agents, by host. */
  readonly flags = new Map<string, readonly string[]>();
  /** Sockets of databases of Open vSwitch, by host. */
  readonly ovsdb = new Map<string, string>();
  /** Files of join tokens, by host; the others use that of the server. */
  readonly joinTokens = new Map<string, string>();
  constructor(family: 4 | 6 = 4) {
    this.family = family;
  }

  get wire(): string {
    return `${this.id}-u`;
  }
  netnsOf(host: string): string {
    return `${this.id}-${host}`;
  }
  /** Namespace of a VRF on a host, as the agent makes it. */
  vrfNetns(host: string, vrf: string): string {
    return `${this.netnsOf(host)}-${vrf}`;
  }
  underlayOf(host: string): string {
    const number = 10 + Number(host.slice(1));
    return this.family === 4 ? `172.31.77.${number}` : `fd77::${number}`;
  }
  get serverSocket(): string {
    return join(this.folder, "server.sock");
  }
  agentSocket(host: string): string {
    return join(this.folder, host, "agent.sock");
  }
  /** Where the agent keeps CNI configurations of networks that are marked for it. */
  cniDir(host: string): string {
    return join(this.folder, host, "net.d");
  }
  token(): string {
    return readFileSync(join(this.folder, "server", "admin.token"), "utf8").trim();
  }
  agentArgs(host: string, stateDir = join(this.folder, host)): string[] {
    return [
      "agent",
      "--server",
      `https://${SERVER_IP}:7474`,
      "--join-token-file",
      this.joinTokens.get(host) ?? join(this.folder, "server", "join.token"),
      "--host",
      host,
      ...(this.floating.has(host) ? [] : ["--underlay", this.underlayOf(host)]),
      "--state-dir",
      stateDir,
      "--socket",
      join(stateDir, "agent.sock"),
      "--netns-prefix",
      `${this.netnsOf(host)}-`,
      "--cni-dir",
      this.cniDir(host),
      "--ovsdb",
      this.ovsdb.get(host) ?? join(stateDir, "no-ovsdb.sock"),
      ...(this.flags.get(host) ?? []),
    ];
  }
}
