// The CNI plugin as a container runtime runs it: the compiled shim, variables in its environment, configuration on its
// standard input.
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Json } from "./cluster.ts";

export const PLUGIN = join(import.meta.dirname, "../../../build/weft");
export const REFERENCE_PLUGINS = "/usr/lib/cni";

export type Call = {
  readonly command: string;
  readonly container?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Text goes as it is. */
  readonly config: Json;
  /** Default: Weft's. */
  readonly program?: string;
  /** Kill the shim (not the agent) after so long, if it has not ended by then. */
  readonly killAfterMs?: number;
  /** Network namespace that the plugin runs in, for plugins that work in the host's. */
  readonly within?: string;
};
export type Told = { readonly code: number; readonly output: string; readonly answer: Json };

/** Runs it to its end; never rejects. `answer` is what it printed, if that is JSON. */
export function plugin(socket: string, call: Call): Promise<Told> {
  const env = {
    PATH: process.env["PATH"],
    WEFT_SOCKET: socket,
    CNI_COMMAND: call.command,
    CNI_PATH: REFERENCE_PLUGINS,
    ...(call.container === undefined ? {} : { CNI_CONTAINERID: call.container }),
    ...(call.netns === undefined ? {} : { CNI_NETNS: call.netns }),
    ...(call.ifname === undefined ? {} : { CNI_IFNAME: call.ifname }),
    ...(call.args === undefined ? {} : { CNI_ARGS: call.args }),
  };
  const argv = [...(call.within === undefined ? [] : ["nsenter", `--net=${call.within}`]), call.program ?? PLUGIN];
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stdin.on("error", () => undefined);
    child.stdin.end(typeof call.config === "string" ? call.config : JSON.stringify(call.config));
    if (call.killAfterMs !== undefined) {
      const timer = setTimeout(() => child.kill("SIGKILL"), call.killAfterMs);
      child.on("close", () => clearTimeout(timer));
    }
    child.on("close", (code) => resolve({ code: code ?? -1, output, answer: jsonOf(output) }));
    child.on("error", (error) => resolve({ code: -1, output: String(error), answer: undefined }));
  });
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
