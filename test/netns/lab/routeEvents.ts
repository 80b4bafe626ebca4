// What the kernel tells about addresses of a namespace, in its own order: whether one was on no device for a moment.
import { type ChildProcess, spawn } from "node:child_process";
import { must, run, until } from "./cluster.ts";

/** Addresses and the devices that have them; the function of the answer tells those that no device had meanwhile. */
export async function watchAddresses(
  netns: string,
  devices: readonly string[],
  ips: readonly string[],
): Promise<() => Promise<readonly string[]>> {
  const child: ChildProcess = spawn("ip", ["-n", netns, "-rcvbuf", "8388608", "monitor", "route"]);
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
  let marks = 0;
  const mark = async () => {
    const dst = `blackhole 203.0.113.${(marks += 1)}`;
    await until("the kernel's events are told", async () => {
      await run("ip", "-n", netns, "route", "replace", ...dst.split(" "), "table", "999");
      return said.includes(dst);
    });
  };
  await mark();
  const having = new Map(ips.map((ip) => [ip, new Set<string>()]));
  for (const dev of devices) {
    const { stdout } = await run("ip", "-n", netns, "-br", "address", "show", "dev", dev);
    for (const [ip, on] of having) if (stdout.includes(`${ip}/`)) on.add(dev);
  }
  const begin = said.length;
  return async () => {
    await mark();
    child.kill("SIGKILL");
    await must("ip", "-n", netns, "route", "flush", "table", "999");
    return bareIn(said.slice(begin), having);
  };
}

function bareIn(events: string, having: ReadonlyMap<string, Set<string>>): readonly string[] {
  const bare: string[] = [];
  for (const [, gone, ip = "", dev = ""] of events.matchAll(/^(Deleted )?local (\S+) dev (\S+) /gm)) {
    const on = having.get(ip);
    if (gone === undefined) on?.add(dev);
    else on?.delete(dev);
    if (on?.size === 0) bare.push(ip);
  }
  return bare;
}
