import tseslint from 'typescript-eslint'

const PURE = [
  'src/base/**',
  'src/crdt/**',
  'src/ports/**',
  'src/memory/**',
  'src/trust/**',
  'src/recall/**',
  'src/sync/**'
]

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'out/**'] },
  {
    files: ['**/*.ts'],
    ignores: ['src/base/globals.d.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [{ from: 'package', name: ['test', 'it', 'describe', 'suite'], package: 'node:test' }]
        }
      ],
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false, attributes: false } }
      ],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-array-sort-compare': ['error', { ignoreStringArrays: true }],
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }
      ],
      'no-console': 'error',
      'max-lines': ['error', { max: 450, skipComments: true, skipBlankLines: true }],
      'max-lines-per-function': ['error', { max: 90, skipComments: true, skipBlankLines: true }],
      eqeqeq: ['error', 'always']
    }
  },
  {
    files: PURE,
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: ['node:*', 'node:*/**', 'libp2p', '@libp2p/*', 'level', 'classic-level'] }
      ],
      'no-restricted-globals': [
        'error',
        'Date',
        'Intl',
        'setTimeout',
        'setInterval',
        'performance',
        'process',
        'Buffer'
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Chance comes in as ports/random.' },
        { property: 'localeCompare', message: 'Locale-dependent order differs between machines.' },
        { property: 'toLocaleString', message: 'Locale-dependent.' },
        { property: 'toLocaleLowerCase', message: 'Locale-dependent.' }
      ]
    }
  },
  {
    files: ['test/**', 'simulations/**'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines-per-function': 'off',
      'no-console': 'off'
    }
  }
)
