# Loads the app-host into this interpreter and hands over. argv: the library, then its options.
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

name = "causeway_app_host"
path = sys.argv.pop(1)
spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
app_host = sys.modules[name] = module_from_spec(spec)
spec.loader.exec_module(app_host)
sys.exit(app_host.run(sys.argv[1:]))
