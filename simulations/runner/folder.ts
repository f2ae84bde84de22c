/** The folder a command writes into: `runs.jsonl`, one report a line, and `summary.json`. Proved writable beforehand. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { ChrysalisError, messageOf } from '../../src/base/errors.ts'
import { parseSummary } from './compare.ts'
import type { Finished, Summary } from './summary.ts'

export const RUNS_FILE = 'runs.jsonl'
export const SUMMARY_FILE = 'summary.json'

export class ReportFolder {
  readonly path: string
  readonly #runs: number

  private constructor(folder: string, runs: number) {
    this.path = folder
    this.#runs = runs
  }

  /** Throws `permissions` when nothing can be written there: an hour of runs must not end with that. */
  static open(folder: string): ReportFolder {
    try {
      makeFolder(path.resolve(folder))
      return new ReportFolder(folder, openSync(path.join(folder, RUNS_FILE), 'w'))
    } catch (error) {
      throw new ChrysalisError(
        'permissions',
        `The report cannot be written to ${folder}: ${messageOf(error)}. Nothing was run.`,
        { hint: 'Choose another folder with --out, or make this one writable.', cause: error }
      )
    }
  }

  add({ report, cpuMs }: Finished): void {
    writeSync(this.#runs, `${JSON.stringify({ ...report, cpuMs })}\n`)
  }

  close(summary: Summary): void {
    closeSync(this.#runs)
    writeFileSync(path.join(this.path, SUMMARY_FILE), `${JSON.stringify(summary, null, 2)}\n`)
  }
}

/** The summary in a folder, or in a file. Throws `not_found` or `invalid_argument`. */
export function readSummary(folderOrFile: string): Summary {
  const isFolder = statSync(folderOrFile, { throwIfNoEntry: false })?.isDirectory() === true
  const file = isFolder ? path.join(folderOrFile, SUMMARY_FILE) : folderOrFile
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ChrysalisError('not_found', `There is no summary at ${file}: ${messageOf(error)}.`, {
      hint: 'Make one: chrysalis sim sweep --seeds 200 --out FOLDER',
      cause: error
    })
  }
  return parseSummary(file, text)
}

/** One after the other: Node's recursive way never returns where the system says that a parent is missing though it is not. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(path.dirname(folder))
  mkdirSync(folder)
}
