// What this machine can run: kernel tests need root and a kernel that makes VXLAN devices in network namespaces.
import { spawnSync } from "node:child_process";

/** Why kernel tests cannot run here; undefined if they can. Makes a device in a namespace that dies with the probe. */
export function whyNoKernelTests(): string | undefined {
  if (process.getuid?.() !== 0) return "kernel tests need root";
  const probe = spawnSync(
    "unshare",
    ["--net", "ip", "link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "4789"],
    {
      encoding: "utf8",
      timeout: 10_000,
    },
  );
  if (probe.error !== undefined) return `unshare cannot be run: ${probe.error.message}`;
  return probe.status === 0
    ? undefined
    : `this machine cannot make a VXLAN device in a namespace: ${probe.stderr.trim()}`;
}
