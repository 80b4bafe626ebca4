// How a secret comes into the program: from a file, from standard input, or typed without being shown. Never from an
// argument, because every user of the machine may read those of a process.
import { readFileSync } from "node:fs";
import { Fault } from "../../model/fault.ts";
import type { Io } from "../io.ts";
import { whyUnread } from "../input/settings.ts";
import { misuse } from "../output/error.ts";

/** The one line in the file; `-` is standard input. The line's end is not part of it. */
export async function secretFrom(io: Io, file: string, option: string): Promise<string> {
  const text = file === "-" ? await io.stdin() : read(file, option);
  const line = text.replace(/\r?\n$/, "");
  if (line === "" || line.includes("\n")) {
    const why = line === "" ? "it is empty" : "it has several lines";
    throw misuse(option, `there is no secret in ${file === "-" ? "standard input" : file}`, "write it alone", why);
  }
  return line;
}

/** Asks a person, who does not see what is typed; without a terminal, a Fault that says how else to give it. */
export async function askSecret(io: Io, question: string, option: string): Promise<string> {
  if (io.askSecret !== undefined) return io.askSecret(question);
  throw new Fault("request-invalid", {
    what: "a password is needed",
    why: "there is no terminal to ask on",
    fix: `give ${option} FILE, or ${option} - and the password on standard input`,
  });
}

function read(file: string, option: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw misuse(option, `${file} cannot be read`, "give a file that is there", whyUnread(error));
  }
}
