// Contexts: the clusters that a person works with, each with its server and with what proves who the person is. They
// are in one file that only its owner may read; one that others may read is refused, because its tokens may be known.
import { lstatSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../../model/fault.ts";
import type { Io } from "../io.ts";
import { whyUnread } from "../input/settings.ts";
import { misuse } from "../output/error.ts";

export type Context = {
  readonly server: string;
  /** Of the server's CA. */
  readonly caPin?: string;
  readonly token?: string;
  /** Whose token it is, as far as the server has said; absent: an administrator's, or unknown. */
  readonly user?: string;
  readonly expiresMs?: number;
};
export type Contexts = {
  /** The one that is used where none is named. */
  readonly current?: string;
  readonly contexts: Readonly<Record<string, Context>>;
};

const NONE: Contexts = { contexts: {} };

/** `$XDG_CONFIG_HOME/weft/contexts.json`; undefined for a user without a home. */
function fileOf(env: Io["env"]): string | undefined {
  const home = env["HOME"] ?? "";
  const base = env["XDG_CONFIG_HOME"] ?? "";
  // A relative one is to be passed over (XDG Base Directory Specification).
  if (base.startsWith("/")) return join(base, "weft", "contexts.json");
  return home === "" ? undefined : join(home, ".config", "weft", "contexts.json");
}

/** What the file says; a Fault for one that others may read, or that is damaged. */
export function readContexts(env: Io["env"]): Contexts {
  const file = fileOf(env);
  const stat = file === undefined ? undefined : lstatSync(file, { throwIfNoEntry: false });
  if (file === undefined || stat === undefined) return NONE;
  const mode = stat.mode & 0o777;
  if (stat.isFile() && (mode & 0o077) !== 0) throw tooWide(file, mode);
  try {
    return contextsIn(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    // The text of a syntax error shows a part of the file.
    const why = error instanceof SyntaxError ? "it is not JSON" : whyUnread(error);
    const fix = "correct it, or remove it and log in again: weft login";
    throw new Fault("request-invalid", { what: "the file of contexts cannot be used", where: file, why, fix });
  }
}

/** A file that something else wrote fails here, and not at the first use of what it lacks. */
function contextsIn(value: unknown): Contexts {
  const { contexts, current } = value as Partial<Contexts>;
  const all = Object.values(contexts ?? {});
  if (typeof contexts !== "object" || !all.every((each) => typeof each.server === "string"))
    throw new TypeError("it does not consist of contexts");
  return { contexts, ...(typeof current === "string" ? { current } : {}) };
}

function tooWide(file: string, mode: number): Fault {
  return new Fault("forbidden", {
    what: "other users of this machine may read your tokens",
    where: file,
    why: `its mode is ${mode.toString(8).padStart(4, "0")}`,
    fix: `chmod 600 ${file}; if others may have read it, end what is in it: weft logout, weft token delete`,
  });
}

/** Replaces the file; only its owner may read it, and what is above it. */
export async function writeContexts(env: Io["env"], contexts: Contexts): Promise<void> {
  const file = fileOf(env);
  if (file === undefined) {
    const fix = "set HOME or XDG_CONFIG_HOME, or give the token each time: --token-file, WEFT_TOKEN";
    throw new Fault("request-invalid", { what: "there is no place for contexts", why: "HOME is not set", fix });
  }
  const { makeDirectory } = await import("../../files/directories.ts");
  const { notWritten, replaceFile } = await import("../../files/files.ts");
  const { realFiles } = await import("../../files/real.ts");
  try {
    makeDirectory(dirname(file), 0o700);
    replaceFile(realFiles, file, `${JSON.stringify(contexts, undefined, 2)}\n`, 0o600);
  } catch (error) {
    throw notWritten(file, error);
  }
}

/** The context of this name, or the current one; undefined if none is named and none is current. */
export function contextIn(
  { contexts, current }: Contexts,
  named?: string,
): { readonly name: string; readonly context: Context } | undefined {
  const name = named ?? current;
  if (name === undefined) return undefined;
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (context !== undefined) return { name, context };
  if (named === undefined) return undefined;
  throw unknownContext(contexts, name);
}

/** The token of a context whose server has this address; the current context's first. */
export function tokenFor({ contexts, current }: Contexts, server: string): string | undefined {
  const names = current === undefined ? Object.keys(contexts) : [current, ...Object.keys(contexts)];
  const same = names.map((name) => contexts[name]).filter((each) => each?.server === server);
  return same.find((each) => each?.token !== undefined)?.token;
}

/** Two servers may be on one machine: a name that another server has gets the port behind it, or a number. */
export function freeName({ contexts }: Contexts, server: string): string {
  const name = nameOf(server);
  const port = URL.canParse(server) ? new URL(server).port : "";
  const names = [name, ...(port === "" ? [] : [`${name}-${port}`])];
  for (let n = 2; ; n++) {
    const free = names.find((one) => !Object.hasOwn(contexts, one));
    if (free !== undefined) return free;
    names.push(`${name}-${n}`);
  }
}

/** `weft1.example.com` of https://weft1.example.com:7474. */
function nameOf(server: string): string {
  const host = URL.canParse(server) ? new URL(server).hostname : "";
  return host.replaceAll(/[^\w.-]/g, "") || "local";
}

export function withContext(all: Contexts, name: string, context: Context): Contexts {
  if (!/^[A-Za-z0-9][\w.-]{0,62}$/.test(name))
    throw misuse("context", `"${name.slice(0, 80)}" is not a name for a context`, "use letters, digits, . _ and -");
  // The first one is the one that is meant.
  return { current: all.current ?? name, contexts: { ...all.contexts, [name]: context } };
}

export function withoutContext({ contexts, current }: Contexts, name: string): Contexts {
  if (!Object.hasOwn(contexts, name)) throw unknownContext(contexts, name);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([each]) => each !== name));
  return { contexts: rest, ...(current === undefined || current === name ? {} : { current }) };
}

export function withCurrent(all: Contexts, name: string): Contexts {
  if (!Object.hasOwn(all.contexts, name)) throw unknownContext(all.contexts, name);
  return { ...all, current: name };
}

function unknownContext(contexts: Contexts["contexts"], name: string): Fault {
  const names = Object.keys(contexts);
  const fix =
    names.length === 0
      ? "add it: weft context add NAME --server URL, or weft login --server URL"
      : `choose one of ${names.join(", ")}, or add it: weft context add`;
  return new Fault("not-found", { what: `there is no context "${name}"`, where: "--context", fix });
}
