// Steps with their elapsed time, on stderr: one line per step, which on a terminal shows the running step as well.
import { paint, type Io } from "../src/cli/io.ts";

/**
 * Runs one step; `done` says in a few words what is there now. A failure marks the line and goes on up; so does Ctrl-C
 * between steps.
 */
type Step = <T>(name: string, work: () => Promise<T>, done: string | ((result: T) => string)) => Promise<T>;

export function stepsOf(io: Io, nameWidth: number): Step {
  const startedMs = io.clock.monotonicMs();
  const line = (mark: string, name: string, text: string) => {
    const seconds = ((io.clock.monotonicMs() - startedMs) / 1000).toFixed(1).padStart(5);
    return `${mark} ${paint(io, "dim", `${seconds} s`)}  ${name.padEnd(nameWidth)}  ${text}`;
  };
  const back = io.live ? "\r\u001b[2K" : "";
  return async (name, work, done) => {
    io.signal.throwIfAborted();
    if (io.live) io.err(line(" ", name, paint(io, "dim", "…")));
    try {
      const result = await work();
      const text = typeof done === "string" ? done : done(result);
      io.err(`${back}${line(paint(io, "good", "✓"), name, text)}\n`);
      return result;
    } catch (error) {
      io.err(`${back}${line(paint(io, "bad", "✗"), name, "failed")}\n`);
      throw error;
    }
  };
}
