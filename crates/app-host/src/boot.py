# Loads the app-host into this interpreter and hands over. argv: the library, then its options.
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

if sys.version_info < (3, 10):
    sys.stderr.write("Python 3.10 or later is needed; %s is %s\n" % (sys.executable, sys.version.split()[0]))
    sys.exit(3)

name = "causeway_app_host"
path = sys.argv.pop(1)
spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
app_host = sys.modules[name] = module_from_spec(spec)
spec.loader.exec_module(app_host)
sys.exit(app_host.run(sys.argv[1:]))
