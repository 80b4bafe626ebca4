// The programs that bring up a host's network from its files: ifupdown, ifupdown2, netplan and systemd-networkd. Each
// runs in a network namespace, and in a mount namespace with the tool's package over /usr. Nothing of it reaches the
// machine's own /etc, /run or /usr. script/setup test unpacks the packages.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Format } from "../../../src/formats/formats.ts";
import { must } from "./cluster.ts";
import { Processes } from "./processes.ts";

/** A folder for each format, with its program. */
export const PACKAGES = join(import.meta.dirname, "../../../build/tools");
const NETWORKD = "/lib/systemd/systemd-networkd";

/** Why the tools cannot run here; undefined if they can. */
export function whyNoTools(): string | undefined {
  const missing = ["ifupdown", "ifupdown2", "netplan"].filter((name) => !existsSync(join(PACKAGES, name, "usr")));
  if (missing.length > 0) return `${missing.join(", ")} not unpacked: script/setup test`;
  return existsSync(NETWORKD) ? undefined : `there is no ${NETWORKD}: script/setup test`;
}

/** In a new mount namespace: the tool's package, scratch folders, and no files of this machine's network. */
const PREPARE = `set -eu
mount --make-rprivate /
files=$1 packages=$2
mount -t tmpfs none /mnt
mkdir /mnt/files /mnt/etc /mnt/work
cp -a "$files/." /mnt/files
[ ! -d "$packages/usr" ] || mount -t overlay none -o "lowerdir=$packages/usr:/usr" /usr
options="lowerdir=$packages/etc:/etc,upperdir=/mnt/etc,workdir=/mnt/work"
[ ! -d "$packages/etc" ] || mount -t overlay none -o "$options" /etc
mount -t tmpfs none /run
mkdir /run/network
mount -t sysfs none /sys
# networkd makes MACs of it: two hosts of one machine would have the same.
echo "$4" >/mnt/machine-id
mount --bind /mnt/machine-id /etc/machine-id
`;
/** All files as one, as \`source\` would read them. */
const INTERFACES = "cat /mnt/files/* >/mnt/interfaces\n";
const IFUPDOWN2 = `ln -s /usr/share/ifupdown2/__main__.py /run/network/ifup
ln -s /usr/share/ifupdown2/__main__.py /run/network/ifquery
`;
/** networkd does not wait for udev if it cannot write /sys. */
const RUN_NETWORKD = `mkdir /run/systemd
cd /run/systemd
mkdir network netif netif/links netif/leases netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif
cp -a "$units/." /run/systemd/network
mount -o remount,ro /sys
exec ${NETWORKD}
`;
const GENERATE = `mkdir -p /mnt/root/etc/netplan
cp /mnt/files/* /mnt/root/etc/netplan
chmod 600 /mnt/root/etc/netplan/*
/usr/libexec/netplan/generate --root-dir /mnt/root
`;

const SCRIPTS: Readonly<Record<Format, string>> = {
  ifupdown: `${INTERFACES}ifup -a -i /mnt/interfaces --state-dir=/run/network 2>&1
[ "$3" != down ] || ifdown -a -i /mnt/interfaces --state-dir=/run/network 2>&1
`,
  ifupdown2: `${INTERFACES}${IFUPDOWN2}python3=/usr/bin/python3
$python3 /run/network/ifup -a -i /mnt/interfaces
$python3 /run/network/ifquery -a -c -i /mnt/interfaces
`,
  netplan: `${GENERATE}units=/mnt/root/run/systemd/network\n${RUN_NETWORKD}`,
  networkd: `units=/mnt/files\n${RUN_NETWORKD}`,
  iproute2: `bash /mnt/files/*.sh\n[ "$3" != down ] || bash /mnt/files/*.sh down\n`,
};

function machineId(netns: string): string {
  return createHash("sha256").update(netns).digest("hex").slice(0, 32);
}

type TextFile = { readonly path: string; readonly text: string };

/** Tools at work in the namespaces of a test. */
export class HostTools {
  readonly #folder = mkdtempSync(join(tmpdir(), "weft-tools-"));
  readonly #processes = new Processes(this.#folder);
  #count = 0;

  /** Applies files; gives what the tool printed. networkd and netplan go on in the background until `close`. */
  async apply(netns: string, format: Format, files: readonly TextFile[], verb = "up"): Promise<string> {
    const name = `${format}-${this.#count++}`;
    const folder = join(this.#folder, name);
    for (const { path, text } of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const script = join(this.#folder, `${name}.sh`);
    writeFileSync(script, PREPARE + SCRIPTS[format]);
    const argv = ["unshare", "--mount", "bash", script, folder, join(PACKAGES, format), verb, machineId(netns)];
    if (format !== "netplan" && format !== "networkd") return must("nsenter", `--net=/run/netns/${netns}`, ...argv);
    this.#processes.start(name, netns, ...argv);
    return "";
  }

  log(): string {
    return Array.from({ length: this.#count }, (_, i) =>
      ["netplan", "networkd"].map((format) => this.#processes.log(`${format}-${i}`)).join(""),
    ).join("");
  }

  /** Ends what runs in the background; what it has set in the kernel stays. */
  async stop(): Promise<void> {
    await this.#processes.killAll();
  }

  async close(): Promise<void> {
    await this.#processes.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
