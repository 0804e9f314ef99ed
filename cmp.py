import sys; sys.path.insert(0,'/work/main')
new=len(sys.argv)>1
if new: sys.path.insert(0,'/tmp/w/D/wds1')
import webdataset, time; print(webdataset.__version__, webdataset.__file__)
from bench import loader
from functools import partial
for name,small,count in (("photos",False,1200),("small",True,6000)):
    with loader._shards(count,small=small) as folder:
        for w,f in (("ours raw",partial(loader._ours,picture="bytes")),("theirs raw",partial(loader._theirs,decode=None)),("ours rgb",partial(loader._ours,picture="array")),("theirs rgb",partial(loader._theirs,decode="rgb8"))):
            best=1e9
            for _ in range(3 if "raw" in w else 1):
                t=time.process_time(); n=f(folder); best=min(best,time.process_time()-t)
            print(name,w,n,round(n/best))
