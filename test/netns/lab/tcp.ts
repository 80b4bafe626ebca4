// Conversations between namespaces, as short as they get: a listener that says who it is and whom it sees, a caller
// that gives what it hears.
import { type ChildProcess, spawn } from "node:child_process";
import { run, until } from "./cluster.ts";

const LISTENER = `
const [port, name] = process.argv.slice(1);
require("node:net").createServer((s) => {
  s.on("error", () => undefined);
  s.end(name + " " + s.remoteAddress.replace("::ffff:", "") + "\\n");
}).listen(Number(port), "::", () => console.log("ready"));`;

/** Answers on a port of a namespace, in both families, until `close`. */
export class Listener {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async in(netns: string, port: number, name: string): Promise<Listener> {
    const argv = ["--pdeathsig", "KILL", "nsenter", `--net=/run/netns/${netns}`];
    const node = [process.execPath, "-e", LISTENER, String(port), name];
    const child = spawn("setpriv", [...argv, ...node], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await until(`${name} listens on ${port}`, async () => said.includes("ready"));
    return new Listener(child);
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}

/** `name address` as a listener said it; empty if nobody answered within a second, or somebody refused. */
export async function dial(netns: string, address: string, port: number): Promise<string> {
  const script = `exec 3<>/dev/tcp/${address}/${port} && cat <&3`;
  const { stdout } = await run("ip", "netns", "exec", netns, "timeout", "1", "bash", "-c", script);
  return stdout.trim();
}
