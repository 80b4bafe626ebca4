// Files of a host's network, as `weft import ifupdown|netplan|networkd` takes them: on this machine, or copied from the
// hosts that they are of.
import { closeSync, constants, fstatSync, openSync, readFileSync, readdirSync } from "node:fs";
import { Fault } from "../../model/fault.ts";
import { checkName } from "../../model/parse.ts";
import type { SourceFormat } from "../../formats/formats.ts";
import type { Before, HostFiles, Imported } from "../../formats/resources.ts";
import type { SourceFiles } from "../../formats/reading.ts";
import { checkKnown } from "../input/names.ts";
import { whyUnread } from "../input/settings.ts";

/** Of one file; readers stop at a quarter of it in characters, of all files together. */
const BYTES_MAX = 16_777_216;

/** What an include names may be a pipe, which nobody writes to, or a device without an end. */
function plainText(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw new Error("it is a directory");
    if (!stat.isFile()) throw new Error("it is no plain file");
    if (stat.size > BYTES_MAX) throw new Error(`it is larger than ${BYTES_MAX} bytes`);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

const files: SourceFiles = {
  text(path) {
    try {
      return plainText(path);
    } catch (error) {
      const detail = { what: `${path} cannot be read`, why: whyUnread(error), fix: "check the path" };
      throw new Fault("request-invalid", detail, { cause: error });
    }
  },
  list(path) {
    try {
      return readdirSync(path).sort();
    } catch {
      return undefined;
    }
  },
};

export type ReadFiles = Imported & { readonly notes: readonly string[] };

/**
 * What files of hosts say, as resources. `paths`: files and folders, each of the host that stands before it as in
 * `h1=/etc/network/interfaces`, else of `host`. A Fault names each line that is wrong.
 */
export async function readHostFiles(
  format: SourceFormat,
  paths: readonly string[],
  host: string | undefined,
  { snapshot, takesOver }: Required<Before>,
): Promise<ReadFiles> {
  const [{ readPlan }, { resourcesOf }, { newReading, remarkText, throwProblems }] = await Promise.all([
    import("../../formats/formats.ts"),
    import("../../formats/resources.ts"),
    import("../../formats/reading.ts"),
  ]);
  const reading = newReading();
  const read: HostFiles[] = [];
  for (const [named, its] of pathsByHost(paths, host)) {
    checkKnown({ host: named }, snapshot);
    const one = readPlan(format, files, its);
    reading.notes.push(...one.reading.notes);
    reading.problems.push(...one.reading.problems);
    read.push({ host: named, plan: one.plan, lacks: one.lacks });
  }
  throwProblems(reading);
  const imported = resourcesOf(read, { snapshot, takesOver }, reading);
  throwProblems(reading);
  return { ...imported, notes: reading.notes.map(remarkText).sort(byLine.compare) };
}

const byLine = new Intl.Collator("en", { numeric: true });

function pathsByHost(paths: readonly string[], host: string | undefined): Map<string | undefined, string[]> {
  const byHost = new Map<string | undefined, string[]>();
  for (const path of paths) {
    const [, named, rest] = /^([^/=]+)=(.+)$/.exec(path) ?? [];
    const of = named === undefined ? host : checkName("host", named, path);
    byHost.set(of, [...(byHost.get(of) ?? []), rest ?? path]);
  }
  return byHost;
}
