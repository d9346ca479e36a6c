//! Many at a time: what is slow keeps nobody waiting.

mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use audio::{
    Cause, Error, Event, Item, PlayOptions, PlayRequest, RecordRequest, Recorded, RecordingFormat,
    RecordingName,
};
use support::{Bench, ffmpeg};

#[test]
fn many_recordings_share_a_thread_and_mix_nothing_up() {
    const COUNT: i16 = 40;
    let mut bench = Bench::new();
    let mut recorders = HashMap::new();
    for number in 0..COUNT {
        let name = RecordingName::parse(&format!("r{number}")).unwrap();
        let format = RecordingFormat::WavLinear;
        let mut request = RecordRequest::new(name, format, 8000);
        request.duration_max = Duration::from_millis(20 * (10 + number as u64));
        let (id, recorder) = bench.files.record(request).unwrap();
        recorders.insert(id, (number, recorder));
    }
    assert_eq!(bench.files.recordings(), COUNT as usize);
    for _ in 0..10 + COUNT {
        for (number, recorder) in recorders.values_mut() {
            recorder.push(&[&[*number; 160]]);
        }
    }
    for _ in 0..COUNT {
        let Event::Recorded(id, report) = bench.event() else {
            panic!("nothing was to be loaded");
        };
        let (number, mut recorder) = recorders.remove(&id).unwrap();
        assert_eq!(report.cause, Cause::Duration);
        assert_eq!(
            recorder.push(&[&[1; 160]]),
            Recorded::Ended(Cause::Duration)
        );
        let samples = 160 * (10 + number as usize);
        let file = std::fs::read(&report.files[0]).unwrap();
        let wav = audio::wav::Wav::parse(&file).unwrap();
        assert_eq!(wav.len(), samples);
        assert!(wav.mono().all(|sample| sample == number));
        if number == 0 {
            assert_eq!(ffmpeg(&report.files[0], 0, 8000), vec![0; samples]);
        }
    }
    assert_eq!(bench.files.recordings(), 0);
}

#[test]
fn a_server_that_does_not_answer_keeps_no_prompt_waiting() {
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/a.wav", listener.local_addr().unwrap());
    let request = |items| PlayRequest {
        items,
        language: None,
        rate: 8000,
        options: PlayOptions::default(),
    };
    // More than there are threads that fetch.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let items = vec![Item::from_uri(&uri).unwrap()];
            bench.files.load(request(items)).unwrap()
        })
        .collect();
    let (mut asked, _) = listener.accept().unwrap();
    let near = bench.player(vec![Item::from_uri("prompt:busy").unwrap()], 8000);
    assert!(near.unwrap().length() > Duration::from_secs(2));
    // The server recovers: all that waited are served.
    let serving = std::thread::spawn(move || {
        let refuse = |stream: &mut std::net::TcpStream| {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        refuse(&mut asked);
        for _ in 1..8 {
            refuse(&mut listener.accept().unwrap().0);
        }
    });
    let mut served = Vec::new();
    for _ in 0..8 {
        let Event::Loaded(id, Err(Error::Status(404))) = bench.event() else {
            panic!("a refusal was to come");
        };
        served.push(id);
    }
    served.sort_unstable();
    assert_eq!(served, waiting);
    serving.join().unwrap();
}

#[test]
fn too_much_at_a_time_is_refused_and_not_forgotten() {
    let mut bench = Bench::new();
    let request = PlayRequest {
        items: vec![Item::Silence(Duration::from_millis(20))],
        language: None,
        rate: 8000,
        options: PlayOptions::default(),
    };
    let mut accepted = 0;
    for _ in 0..audio::LOADS_MAX + 10 {
        match bench.files.load(request.clone()) {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(error, Error::Busy),
        }
    }
    assert_eq!(accepted, audio::LOADS_MAX);
    for _ in 0..accepted {
        assert!(matches!(bench.event(), Event::Loaded(_, Ok(_))));
    }
    assert!(bench.files.load(request).is_ok());
    assert!(matches!(bench.event(), Event::Loaded(_, Ok(_))));
}
