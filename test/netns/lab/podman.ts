// podman as the container runtime of one host of a test's cluster: storage, network configurations and processes of its
// own, containers of one busybox. Whether it can run here at all is asked once, by running a container.
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, type Ran, run, until } from "./cluster.ts";
import { PLUGIN, REFERENCE_PLUGINS } from "./plugin.ts";
import { Processes } from "./processes.ts";

const NEEDED = {
  podman: "/usr/bin/podman",
  runc: "/usr/sbin/runc",
  "busybox-static": "/bin/busybox",
  "containernetworking-plugins": join(REFERENCE_PLUGINS, "portmap"),
} as const;

/**
 * Holds a mount namespace in which the machine's cgroups are where runc looks for them: another mount may hide them.
 * Namespaces of containers are mounted in /run/netns, which the agent shares. `$1` is made when all is ready.
 */
const HOLD_MOUNTS = `set -eu
mount --make-rprivate /sys
if [ -z "$(ls /sys/fs/cgroup)" ]; then
  mount -t tmpfs none /sys/fs/cgroup
  while IFS=: read -r _ names _; do
    [ -n "$names" ] || continue # version 2, which runc does not need beside version 1
    folder=/sys/fs/cgroup/\${names#name=}
    mkdir "$folder"
    mount -t cgroup -o "$names" none "$folder"
  done </proc/self/cgroup
fi
touch "$1"
exec sleep infinity
`;

export class Podman {
  readonly #cluster: Cluster;
  readonly #host: string;
  readonly #folder: string;
  readonly #processes: Processes;

  constructor(cluster: Cluster, host: string) {
    this.#cluster = cluster;
    this.#host = host;
    this.#folder = join(cluster.folder, `podman-${host}`);
    this.#processes = new Processes(this.#folder);
  }

  /** Why it cannot run here; undefined if it can. Prepares what it needs. */
  async obstacle(): Promise<string | undefined> {
    for (const [name, file] of Object.entries(NEEDED)) if (!existsSync(file)) return `${name} is not installed`;
    const bin = join(this.#folder, "root/bin");
    mkdirSync(bin, { recursive: true });
    copyFileSync(NEEDED["busybox-static"], join(bin, "busybox"));
    for (const applet of ["sh", "sleep", "ping", "ip", "nc", "wget", "httpd", "echo"])
      symlinkSync("busybox", join(bin, applet));
    writeFileSync(join(this.#folder, "containers.conf"), this.#configuration());
    await this.#holdMounts();
    const { code, stderr } = await this.run("run", "--rm", "--network", "none", "--rootfs", this.rootfs, "/bin/echo");
    return code === 0 ? undefined : `podman cannot run a container here: ${stderr.trim().split("\n").at(-1) ?? ""}`;
  }

  async #holdMounts(): Promise<void> {
    const ready = join(this.#folder, "ready");
    const argv = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", HOLD_MOUNTS, "sh", ready];
    this.#processes.start("mounts", this.#cluster.netnsOf(this.#host), ...argv);
    await until("mounts for podman", async () => existsSync(ready)).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${this.#processes.log("mounts")}`);
    });
  }

  /** runc, and limits of its own, because a machine's own may be what this one may not raise. */
  #configuration(): string {
    return `[containers]
default_ulimits=["nofile=1024:4096","nproc=4096:4096"]
[network]
network_backend="cni"
network_config_dir="${this.#cluster.cniDir(this.#host)}"
cni_plugin_dirs=["${join(PLUGIN, "..")}","${REFERENCE_PLUGINS}"]
[engine]
runtime="runc"
events_logger="file"
`;
  }

  /** Read-only below, an overlay on top. */
  get rootfs(): string {
    return `${join(this.#folder, "root")}:O`;
  }

  /** A command of podman's, in the host's network namespace and the mounts held for it. */
  run(...args: readonly string[]): Promise<Ran> {
    const place = (name: string) => join(this.#folder, name);
    const folders = ["--root", place("storage"), "--runroot", place("run"), "--tmpdir", place("tmp")];
    const within = ["nsenter", "--net", "--mount", "--target", String(this.#processes.pidOf("mounts"))];
    const env = ["env", `CONTAINERS_CONF=${place("containers.conf")}`];
    return run(...env, ...within, NEEDED.podman, ...folders, "--cgroup-manager", "cgroupfs", ...args);
  }

  /** What containers mounted goes with the mount namespace. */
  async close(): Promise<void> {
    await this.run("rm", "--all", "--force", "--time", "0");
    await this.#processes.close();
  }
}
