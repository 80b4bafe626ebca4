// The two tokens that no API gives out: files in the server's data directory, readable by their owner only. The file
// and the server are kept equal at every start: a missing file, or one that lost its token on a bad disk, gets a new
// token; a token that was written into a file replaces the old one.
import { join } from "node:path";
import { type Files, attempt, notWritten, replaceFile } from "../files/files.ts";
import { Fault } from "../model/fault.ts";
import type { Log } from "./log.ts";
import { joinSecret } from "../control/hosts/joinTokens.ts";
import { FILE_TOKEN } from "../model/joinToken.ts";
import { joinTokenOf, joinTokenText } from "../tls/names.ts";

/** The part of the control plane that decides about tokens. */
export type TokenKeeper = {
  hasToken(role: TokenRole): boolean;
  /** Throws a Fault if the server does not know this token. */
  identify(token: string): { readonly role: string; readonly token?: string };
  setToken(role: TokenRole, token: string): Promise<void>;
  newToken(): string;
  /** The join tokens: those that a person has ended are not valid again because the file has them. */
  readonly joinTokens?: { hasEnded(token: string): boolean };
  /** A join token carries the pin of its CA. */
  readonly authority?: { readonly pin: string } | undefined;
};
export type TokenRole = "admin" | "join";

/** `said`: a sentence for the log if the token has changed or could not be written. */
export type SyncedToken = { readonly file: string; readonly said?: string };

const SHORTEST = 32;

/** Makes the file and the server agree on the token of a role. */
export async function syncToken(
  keeper: TokenKeeper,
  role: TokenRole,
  directory: string,
  files: Files,
): Promise<SyncedToken> {
  const file = join(directory, `${role}.token`);
  const whole = files.exists(file) ? textIn(files, file) : undefined;
  const found = typeof whole === "string" && role === "join" ? joinTokenOf(whole).secret : whole;
  if (found instanceof Fault) {
    if (!keeper.hasToken(role)) throw found;
    return { file, said: `${found.message}; the earlier token is still valid` };
  }
  if (found !== undefined && role === "join" && keeper.joinTokens?.hasEnded(found) === true)
    return {
      said: "the token in the file was ended; the file has a new one",
      ...(await renewed(keeper, role, file, files)),
    };
  if (found !== undefined && found.length >= SHORTEST) {
    const done = await taken(keeper, role, file, found);
    // Of an earlier build, or of a CA before.
    const text = textOf(keeper, role, found);
    return text === whole ? done : { ...done, ...rewritten(files, file, text) };
  }
  // A short text was written on purpose; an empty file is what a full disk leaves.
  if (found !== undefined && found !== "" && !keeper.hasToken(role))
    throw notToken(file, "does not hold a token", `a token has at least ${SHORTEST} characters`);
  if (found !== undefined) attempt(() => files.rename(file, `${file}.damaged`));
  return renewed(keeper, role, file, files);
}

/**
 * Writes the join token anew when another CA signs, which it has to name, or when a person has ended it; one time after
 * the other.
 */
export function keepingJoinToken(keeper: TokenKeeper, directory: string, files: Files, log: Log): () => void {
  const role = "join";
  let last = Promise.resolve();
  return () => {
    const sync = async () => log("token", { role, ...(await syncToken(keeper, role, directory, files)) });
    last = last.then(sync).catch((error: unknown) => {
      log("token", { role, problem: error instanceof Error ? error.message : String(error) });
    });
  };
}

/** Trimmed; or why it cannot be read: a bad sector, or not a file. */
function textIn(files: Files, file: string): string | Fault {
  try {
    return files.read(file).trim();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const fix = "make the file readable, or remove it: the server makes a new one";
    return new Fault("unavailable", { what: "a token file cannot be read", where: file, why, fix });
  }
}

async function taken(keeper: TokenKeeper, role: TokenRole, file: string, token: string): Promise<SyncedToken> {
  const owner = ownerOf(keeper, token);
  if (owner?.role === role && (owner.token ?? FILE_TOKEN) === FILE_TOKEN) return { file };
  if (owner !== undefined) {
    const named = owner.token === undefined ? "" : ` "${owner.token}"`;
    const why = `it is the token${named} of ${owner.role === "host" ? "a host" : `role ${owner.role}`}`;
    throw notToken(file, "holds another token", why);
  }
  const isNew = keeper.hasToken(role);
  await keeper.setToken(role, token);
  return isNew ? { file, said: "the file has another token than before; only this one is valid now" } : { file };
}

async function renewed(keeper: TokenKeeper, role: TokenRole, file: string, files: Files): Promise<SyncedToken> {
  const isKnown = keeper.hasToken(role);
  const token = role === "join" ? joinSecret(keeper.newToken()) : keeper.newToken();
  try {
    // The file first: a token that only the server knows would be lost.
    replaceFile(files, file, `${textOf(keeper, role, token)}\n`);
  } catch (error) {
    const fault = notWritten(file, error);
    // Agents and people have copies of the old one.
    if (isKnown) return { file, said: `${fault.message}; the earlier token is still valid` };
    throw fault;
  }
  await keeper.setToken(role, token);
  return isKnown
    ? { file, said: "the file was lost or damaged; it has a new token, and the earlier one is no longer valid" }
    : { file };
}

/** What the file says: a join token with the pin of the CA. */
function textOf({ authority }: TokenKeeper, role: TokenRole, token: string): string {
  return role === "join" && authority !== undefined ? joinTokenText(token, authority.pin) : token;
}

function rewritten(files: Files, file: string, text: string): Pick<SyncedToken, "said"> {
  try {
    replaceFile(files, file, `${text}\n`);
    return { said: "the file names the CA of this cluster now; give it to hosts that are to join" };
  } catch (error) {
    return { said: `${notWritten(file, error).message}; it does not name the CA of this cluster` };
  }
}

function ownerOf(keeper: TokenKeeper, token: string): ReturnType<TokenKeeper["identify"]> | undefined {
  try {
    return keeper.identify(token);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function notToken(where: string, holds: string, why: string): Fault {
  const fix = "remove the file: the server makes a new one";
  return new Fault("token-wrong", { what: `a token file ${holds}`, where, why, fix });
}
