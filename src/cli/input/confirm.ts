// Asking a person before something is lost.
import { Fault } from "../../model/fault.ts";
import type { Io } from "../io.ts";

/** Lets a person say no to what would be lost. Without a person, only --yes passes: a script has to have meant it. */
export async function confirm(io: Io, what: string, losses: readonly string[], yes = false): Promise<void> {
  if (yes || losses.length === 0) return;
  if (io.ask === undefined) {
    throw new Fault("request-invalid", {
      what: `${what} needs a confirmation`,
      why: "there is no terminal to ask on",
      blockers: losses,
      isLoss: true,
      fix: "add --yes to confirm it",
    });
  }
  io.err(`${what} takes with it:\n${losses.map((loss) => `  ${loss}\n`).join("")}`);
  if ((await io.ask("Type yes to continue: ")).trim() === "yes") return;
  const fix = "answer yes, or add --yes";
  throw new Fault("request-invalid", { what: `${what} was not confirmed; nothing was changed`, fix });
}
