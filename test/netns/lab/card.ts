// A host's network card that gets the checksums inside tunnels wrong (card.c).
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { type Cluster, must, until } from "./cluster.ts";

export class FaultyCard {
  readonly #cluster: Cluster;
  readonly #host: string;
  readonly #child: ChildProcess;

  private constructor(cluster: Cluster, host: string, child: ChildProcess) {
    this.#cluster = cluster;
    this.#host = host;
    this.#child = child;
  }

  /** Puts it between the host and the wire. What the host sends to the others passes it, and their packets to it. */
  static async in(cluster: Cluster, host: string): Promise<FaultyCard> {
    const { wire, folder } = cluster;
    const program = join(folder, "card");
    await must("gcc", "-O2", "-Wall", "-o", program, join(import.meta.dirname, "card.c"));
    const [near, far] = [`${host}-a`, `${host}-b`];
    await must("ip", "-n", wire, "link", "add", near, "type", "veth", "peer", "name", far);
    // Packets one by one: what came in as one large packet would not go through the program.
    await must("ip", "-n", wire, "link", "set", "dev", near, "master", "lan", "up", "gso_max_segs", "1");
    await must("ip", "-n", wire, "link", "set", "dev", far, "up");
    await must("ip", "-n", cluster.netnsOf(host), "link", "set", "dev", "eth0", "gso_max_segs", "1");
    await must("ip", "-n", wire, "link", "set", host, "nomaster");
    const argv = ["--pdeathsig", "KILL", "nsenter", `--net=/run/netns/${wire}`, program, host, far];
    const child = spawn("setpriv", argv, { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await until("the card is ready", async () => said.includes("ready"));
    return new FaultyCard(cluster, host, child);
  }

  /** Takes it out: the host is on the wire by itself, and was off it for a while. */
  async out(offForMs: number): Promise<void> {
    const { wire } = this.#cluster;
    this.close();
    await must("ip", "-n", wire, "link", "delete", `${this.#host}-a`);
    const atMs = performance.now() + offForMs;
    await until("the host was off the wire", async () => performance.now() > atMs);
    await must("ip", "-n", wire, "link", "set", this.#host, "master", "lan");
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}
