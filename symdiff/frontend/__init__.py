"""Front ends: text, Python functions and SymPy expressions become one FormulaData."""
