/** The version of the package, read from its package.json: beside src/ in a checkout, above dist/ when built. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

function readVersion(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const file = path.join(directory, 'package.json')
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string }
      if (name === 'chrysalis' && version !== undefined) return version
    }
    const parent = path.dirname(directory)
    if (parent === directory) return '0.0.0'
    directory = parent
  }
}

export const VERSION = readVersion()
