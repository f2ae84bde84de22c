// Compiles src/ to dist/. Run by `npm ci` (the prepare step) and by `npm run build`. With install scripts blocked
// nothing is lost: bin/chrysalis then runs the sources directly.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
if (existsSync(compiler) && existsSync(path.join(root, 'src'))) {
  rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  const result = spawnSync(process.execPath, [compiler, '-p', path.join(root, 'src', 'tsconfig.build.json')], {
    stdio: 'inherit'
  })
  // A failed build leaves no dist/ behind, so that the launcher never runs half of one.
  if (result.status !== 0) {
    rmSync(path.join(root, 'dist'), { recursive: true, force: true })
    process.exit(result.status ?? 1)
  }
}
